//! When signals are taken: `Mon-Fri 08:00-18:00 Europe/Berlin`. Pure.
//!
//! The rules of the time zones are those that the program was built with: a file
//! or a variable of the machine would let a workflow choose them.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Weekday;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, ToSpan as _, Zoned};

/// The minutes of a day.
const DAY: i16 = 24 * 60;

/// A time of each week in which signals are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    text: String,
    /// From Monday on.
    days: [bool; 7],
    /// In minutes; where it ends before it begins, it ends on the next day.
    from: i16,
    to: i16,
    zone: TimeZone,
}

impl Window {
    /// What one is, in words.
    pub const EXPECTED: &str =
        "days, times and a time zone, such as \"Mon-Fri 08:00-18:00 Europe/Berlin\"";

    /// Whether it is open at this time.
    pub fn is_open(&self, at: Timestamp) -> bool {
        let local = at.to_zoned(self.zone.clone());
        let minute = i16::from(local.hour()) * 60 + i16::from(local.minute());
        let day = usize::try_from(local.weekday().to_monday_zero_offset()).unwrap_or_default();
        let open_on = |day: usize| self.days[day % 7];
        if self.from < self.to {
            return open_on(day) && (self.from..self.to).contains(&minute);
        }
        (open_on(day) && minute >= self.from) || (open_on(day + 6) && minute < self.to)
    }

    /// When it opens next.
    pub fn opens(&self, after: Timestamp) -> Option<Zoned> {
        let local = after.to_zoned(self.zone.clone());
        (0..=7)
            .filter_map(|days| {
                let date = local.date().checked_add(days.days()).ok()?;
                let time = jiff::civil::time(0, 0, 0, 0);
                let hour = i8::try_from(self.from / 60).ok()?;
                let minute = i8::try_from(self.from % 60).ok()?;
                let time = time.with().hour(hour).minute(minute).build().ok()?;
                date.to_datetime(time).to_zoned(self.zone.clone()).ok()
            })
            .filter(|at| at.timestamp() > after)
            .find(|at| {
                let day = usize::try_from(at.weekday().to_monday_zero_offset());
                day.is_ok_and(|day| self.days[day])
            })
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Window {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let [days, times, zone] = words.as_slice() else {
            return Err(Self::EXPECTED);
        };
        let (from, to) = times.split_once('-').ok_or(Self::EXPECTED)?;
        let (from, to) = (minutes(from)?, minutes(to)?);
        if from == to || from == DAY {
            return Err("a time that ends after it begins, such as 08:00-18:00");
        }
        Ok(Self {
            text: words.join(" "),
            days: self::days(days)?,
            from,
            to,
            zone: zone_named(zone)
                .ok_or("the name of a time zone, such as Europe/Berlin or UTC")?,
        })
    }
}

/// A time zone of the database that the program was built with.
pub fn zone_named(name: &str) -> Option<TimeZone> {
    if name == "UTC" {
        return Some(TimeZone::UTC);
    }
    TimeZoneDatabase::bundled().get(name).ok()
}

fn minutes(text: &str) -> Result<i16, &'static str> {
    const SHAPE: &str = "times from 00:00 to 24:00, such as 08:00-18:00";
    let number = |text: &str| -> Option<i16> {
        let two = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        two.then(|| text.parse().ok()).flatten()
    };
    let parts = text.split_once(':');
    let parts = parts.and_then(|(hour, minute)| Some((number(hour)?, number(minute)?)));
    match parts {
        Some((hour, minute)) if minute < 60 && hour * 60 + minute <= DAY => Ok(hour * 60 + minute),
        _ => Err(SHAPE),
    }
}

fn days(text: &str) -> Result<[bool; 7], &'static str> {
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (day(first)?, day(last)?);
        let mut at = first;
        days[at] = true;
        while at != last {
            at = (at + 1) % 7;
            days[at] = true;
        }
    }
    Ok(days)
}

fn day(text: &str) -> Result<usize, &'static str> {
    let names = [
        (Weekday::Monday, "Mon"),
        (Weekday::Tuesday, "Tue"),
        (Weekday::Wednesday, "Wed"),
        (Weekday::Thursday, "Thu"),
        (Weekday::Friday, "Fri"),
        (Weekday::Saturday, "Sat"),
        (Weekday::Sunday, "Sun"),
    ];
    names
        .iter()
        .position(|(_, name)| name.eq_ignore_ascii_case(text))
        .ok_or("days such as Mon-Fri or Sat,Sun")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::Window;

    #[test]
    fn a_window_is_open_by_the_clock_of_its_zone() {
        for (window, at, open) in [
            // 2026-11-27 is a Friday, and Berlin is an hour ahead in winter.
            (
                "Mon-Fri 08:00-18:00 Europe/Berlin",
                "2026-11-27T06:59:59Z",
                false,
            ),
            (
                "Mon-Fri 08:00-18:00 Europe/Berlin",
                "2026-11-27T07:00:00Z",
                true,
            ),
            (
                "Mon-Fri 08:00-18:00 Europe/Berlin",
                "2026-11-27T17:00:00Z",
                false,
            ),
            (
                "Mon-Fri 08:00-18:00 Europe/Berlin",
                "2026-11-28T10:00:00Z",
                false,
            ),
            // Two in summer.
            (
                "Mon-Fri 08:00-18:00 Europe/Berlin",
                "2026-07-03T06:00:00Z",
                true,
            ),
            ("Fri-Mon 00:00-24:00 UTC", "2026-11-29T23:59:59Z", true),
            ("Tue,Thu 00:00-24:00 UTC", "2026-11-27T12:00:00Z", false),
            // Over midnight: the day is the one on which it begins.
            ("Fri 22:00-06:00 UTC", "2026-11-28T05:59:00Z", true),
            ("Fri 22:00-06:00 UTC", "2026-11-27T05:59:00Z", false),
            ("fri 22:00-06:00 UTC", "2026-11-27T22:00:00Z", true),
        ] {
            let window: Window = window.parse().unwrap();
            assert_eq!(window.is_open(at.parse().unwrap()), open, "{window} {at}");
        }
    }

    #[test]
    fn when_it_opens_next_is_told() {
        for (window, after, opens) in [
            (
                "Mon-Fri 08:00-18:00 Europe/Berlin",
                "2026-11-27T18:00:00Z",
                "2026-11-30T08:00:00+01:00",
            ),
            (
                "Fri 22:00-06:00 UTC",
                "2026-11-27T21:00:00Z",
                "2026-11-27T22:00:00+00:00",
            ),
            (
                "Fri 22:00-06:00 UTC",
                "2026-11-27T22:00:00Z",
                "2026-12-04T22:00:00+00:00",
            ),
        ] {
            let window: Window = window.parse().unwrap();
            let next = window.opens(after.parse().unwrap()).unwrap();
            assert_eq!(next.strftime("%FT%T%:z").to_string(), opens);
        }
    }

    #[test]
    fn what_is_no_window_is_refused() {
        for text in [
            "",
            "Mon-Fri 08:00-18:00",
            "Mon-Fri 8-18 UTC",
            "Mon-Fri 08:00-08:00 UTC",
            "Mon-Fri 08:00-24:01 UTC",
            "Mon-Fri 08:60-18:00 UTC",
            "Mon-Foo 08:00-18:00 UTC",
            "Mon-Fri 08:00-18:00 Europe/Atlantis",
            "Mon-Fri 08:00-18:00 ../../etc/localtime",
            "Mon-Fri 08:00-18:00 Europe/Berlin now",
        ] {
            assert!(text.parse::<Window>().is_err(), "{text}");
        }
    }
}
