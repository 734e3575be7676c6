//! A panic is a bug in `deploy`: it is reported as any error is, ends with the
//! code for one, and stands in the journal. It must never print by itself: what
//! it says may hold text from outside.

use std::any::Any;
use std::panic::{self, PanicHookInfo};
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, Kind};
use crate::text;

/// Where the last panic was.
static PLACE: Mutex<Option<String>> = Mutex::new(None);

/// From here on panics are kept, not printed.
pub(super) fn keep_quiet() {
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string);
        *PLACE.lock().unwrap_or_else(PoisonError::into_inner) = place;
        tracing::debug!(panic = %payload(info), "a bug");
    }));
}

fn payload(info: &PanicHookInfo<'_>) -> String {
    said(info.payload())
}

/// The error for what a panic left.
pub(super) fn error(payload: &(dyn Any + Send)) -> Error {
    let place = PLACE.lock().unwrap_or_else(PoisonError::into_inner).take();
    let version = env!("CARGO_PKG_VERSION");
    Error::new(Kind::Internal, "internal error: this is a bug in deploy")
        .detail(said(payload))
        .detail(format!(
            "deploy {version}, at {}",
            place.as_deref().unwrap_or("a place that is not known")
        ))
        .hint("report it with these lines; what it left half done is recovered by the next deploy")
}

fn said(payload: &(dyn Any + Send)) -> String {
    let said = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text::line(said.unwrap_or("a panic without words"), 400).into_owned()
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::error;
    use crate::error::Kind;

    #[test]
    fn what_it_says_cannot_be_a_command() {
        let hostile = "broken\n::error::\u{1b}[31m".to_owned();
        let payload = catch_unwind(move || std::panic::panic_any(hostile)).unwrap_err();
        let error = error(&*payload);
        assert_eq!(error.kind(), Kind::Internal);
        assert_eq!(error.exit().code(), 1);
        let told = format!("{error:?}");
        assert!(!told.contains('\u{1b}'), "{told}");
        assert!(told.contains("broken"), "{told}");
    }
}
