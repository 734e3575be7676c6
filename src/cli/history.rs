//! `deploy history`: its arguments.

/// What `deploy history` takes.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct Args {
    /// Only this application's
    #[arg(value_name = "app")]
    pub app: Option<crate::signal::App>,
    /// One JSON object per line, for scripts
    #[arg(long)]
    pub json: bool,
}
