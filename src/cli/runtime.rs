//! The runtime of a command that talks to helm and the cluster. Only such a
//! command may start one: a refused signal has none.

use std::time::Duration;

use rustix::fs::Mode;
use rustix::process::umask;

use crate::error::{Error, Kind, Result};

/// How long what is left of the runtime may take to end: an exec plugin of a
/// kubeconfig may hang.
const WIND_DOWN: Duration = Duration::from_millis(200);

/// Does the work on this thread: helm's children follow the thread that began
/// them.
pub(super) fn on_this_thread<T>(work: impl Future<Output = T>) -> Result<T> {
    open_own_files();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::new(Kind::Node, "no runtime can be started").with_source(error))?;
    let done = runtime.block_on(work);
    runtime.shutdown_timeout(WIND_DOWN);
    Ok(done)
}

/// A umask that takes rights from a file's own owner, as that of a service that
/// only makes sockets, would keep helm and `deploy` out of the directories that
/// they make.
fn open_own_files() {
    let others = Mode::RWXG | Mode::RWXO;
    let asked = umask(others);
    umask(asked & others);
}
