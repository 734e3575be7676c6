//! Durations, ages and sizes as people write them in deploy.toml.

use std::fmt::Write as _;
use std::str::FromStr;
use std::time::Duration;

/// A duration as Go writes it: `10m`, `1h30m`, `500ms`, `1.5h`
/// (pkg.go.dev/time#ParseDuration), never negative. jiff's friendly form is
/// another: it takes no `.5s`, `1.5h30m`, `1m1h` or `0`, and does take `10m ago`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GoDuration(pub Duration);

/// Units and their nanoseconds; longer names before their own beginnings.
const UNITS: [(&str, u128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60 * 1_000_000_000),
    ("h", 3600 * 1_000_000_000),
];

impl FromStr for GoDuration {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const SHAPE: &str = "a duration such as \"10m\", \"1h30m\" or \"500ms\"";
        let mut rest = text.strip_prefix('+').unwrap_or(text);
        if rest == "0" {
            return Ok(Self(Duration::ZERO));
        }
        if rest.starts_with('-') {
            return Err("a duration that is not negative");
        }
        if rest.is_empty() {
            return Err(SHAPE);
        }
        let mut total: u128 = 0;
        while !rest.is_empty() {
            let (number, after) = split(rest, |c| c.is_ascii_digit() || c == '.');
            let (unit, after) = split(after, |c| !(c.is_ascii_digit() || c == '.'));
            let (_, nanos) = UNITS.iter().find(|(name, _)| *name == unit).ok_or(SHAPE)?;
            total = total
                .checked_add(scaled(number, *nanos).ok_or(SHAPE)?)
                .ok_or(SHAPE)?;
            rest = after;
        }
        // Go's limit: a signed 64-bit number of nanoseconds, some 292 years.
        match i64::try_from(total).map(i64::cast_unsigned) {
            Ok(nanos) => Ok(Self(Duration::from_nanos(nanos))),
            Err(_) => Err("a duration of at most 292 years"),
        }
    }
}

/// A number with an optional fraction, times a unit; none where it is no
/// number. What is finer than a nanosecond is cut, as Go does.
fn scaled(number: &str, unit: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') || number.len() > 40 {
        return None;
    }
    let mut total = if whole.is_empty() {
        0
    } else {
        whole.parse::<u128>().ok()?.checked_mul(unit)?
    };
    let mut scale = unit;
    let mut rest: u128 = 0;
    let mut parts: u128 = 1;
    for digit in fraction.bytes().take(18) {
        rest = rest * 10 + u128::from(digit - b'0');
        parts *= 10;
    }
    if parts > 1 {
        scale = scale.checked_mul(rest)? / parts;
        total = total.checked_add(scale)?;
    }
    Some(total)
}

fn split(text: &str, inside: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !inside(c)).unwrap_or(text.len()))
}

/// A duration as people write it: `1h30m`, `10m`, `1.5s`, `20ms`.
pub fn show(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let millis = duration.subsec_millis();
    if seconds == 0 {
        return match (millis, duration.subsec_nanos()) {
            (0, 0) => "0s".to_owned(),
            (0, nanos) => format!("{nanos}ns"),
            _ => format!("{millis}ms"),
        };
    }
    let mut shown = String::new();
    if hours > 0 {
        let _ = write!(shown, "{hours}h");
    }
    if minutes > 0 {
        let _ = write!(shown, "{minutes}m");
    }
    if hours == 0 && minutes == 0 && millis > 0 {
        let _ = write!(
            shown,
            "{rest}.{}s",
            format!("{millis:03}").trim_end_matches('0')
        );
    } else if rest > 0 || shown.is_empty() {
        let _ = write!(shown, "{rest}s");
    }
    shown
}

/// An age: whole days (`30d`) or a Go duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Age(pub Duration);

impl FromStr for Age {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const SHAPE: &str = "an age such as \"30d\" or \"12h\"";
        if let Some(days) = text.strip_suffix('d') {
            let days: u64 = days.parse().map_err(|_| SHAPE)?;
            if days > 36_500 {
                return Err("an age of at most 100 years");
            }
            return Ok(Self(Duration::from_secs(days * 86_400)));
        }
        text.parse::<GoDuration>()
            .map(|duration| Self(duration.0))
            .map_err(|_| SHAPE)
    }
}

/// A size in bytes: `200MB` (powers of 1000) or `200MiB` (powers of 1024).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

impl FromStr for Size {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const SHAPE: &str = "a size such as \"200MB\" or \"1GiB\"";
        let (number, unit) = split(text, |c| c.is_ascii_digit());
        let unit: u64 = match unit {
            "B" => 1,
            "kB" | "KB" => 1_000,
            "MB" => 1_000_000,
            "GB" => 1_000_000_000,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return Err(SHAPE),
        };
        let number: u64 = number.parse().map_err(|_| SHAPE)?;
        number.checked_mul(unit).map(Self).ok_or(SHAPE)
    }
}

/// A number of things: `1 wave`, `3 waves`.
pub fn count(number: usize, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{plural}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use proptest::prelude::*;

    use super::{Age, GoDuration, Size, show};

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, millis) in [
            ("10m", 600_000),
            ("1h30m", 5_400_000),
            ("500ms", 500),
            ("1.5h", 5_400_000),
            ("0", 0),
            ("0s", 0),
            ("+5s", 5_000),
            (".5s", 500),
            ("1.s", 1_000),
            ("1h1h", 7_200_000),
        ] {
            let read: GoDuration = text.parse().unwrap();
            assert_eq!(read.0, Duration::from_millis(millis), "{text}");
        }
        assert_eq!(
            "1µs1us1μs1ns".parse(),
            Ok(GoDuration(Duration::from_nanos(3_001)))
        );
        for text in [
            "",
            "10",
            "m",
            "10 m",
            "10M",
            "-1s",
            "1d",
            ".s",
            "1..5s",
            "ten",
            "10m ",
            "1e3s",
            "9999999999999h",
            "٣s",
            "+",
            "1m5",
        ] {
            assert!(text.parse::<GoDuration>().is_err(), "{text}");
        }
    }

    #[test]
    fn ages_and_sizes() {
        assert_eq!("30d".parse(), Ok(Age(Duration::from_secs(2_592_000))));
        assert_eq!("12h".parse(), Ok(Age(Duration::from_secs(43_200))));
        for text in ["", "d", "-1d", "1.5d", "99999999999d", "30", "30 d"] {
            assert!(text.parse::<Age>().is_err(), "{text}");
        }
        for (text, bytes) in [("200MB", 200_000_000), ("1GiB", 1 << 30), ("7B", 7)] {
            assert_eq!(text.parse(), Ok(Size(bytes)));
        }
        for text in [
            "",
            "200",
            "MB",
            "-1MB",
            "1.5GB",
            "200mb",
            "99999999999999GB",
        ] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }

    #[test]
    fn shown_as_people_write() {
        for (millis, shown) in [
            (0, "0s"),
            (20, "20ms"),
            (1_500, "1.5s"),
            (1_040, "1.04s"),
            (600_000, "10m"),
            (5_400_000, "1h30m"),
            (3_661_000, "1h1m1s"),
        ] {
            assert_eq!(show(Duration::from_millis(millis)), shown);
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(seconds in 0_u64..400_000) {
            let duration = Duration::from_secs(seconds);
            prop_assert_eq!(show(duration).parse(), Ok(GoDuration(duration)));
        }

        #[test]
        fn no_text_panics(text in ".{0,40}", digits in "[0-9.hmsnuµd+-]{0,60}") {
            for text in [&text, &digits] {
                let _ = text.parse::<GoDuration>();
                let _ = text.parse::<Age>();
                let _ = text.parse::<Size>();
            }
        }
    }
}
