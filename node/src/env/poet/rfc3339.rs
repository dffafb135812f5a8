//! Moments as JSON writes them: `2023-07-14T08:00:00.250Z`.

use crate::time::Time;

const DAY_MS: u64 = 86_400_000;

/// Days from 1970-01-01 to the first of a month; months count from 1.
fn days_before(year: u64, month: u64) -> u64 {
    const BEFORE: [u64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let leap_years = |before: u64| (before - 1) / 4 - (before - 1) / 100 + (before - 1) / 400;
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let in_year = BEFORE.get(month.saturating_sub(1) as usize).copied().unwrap_or(334);
    (year - 1970) * 365 + leap_years(year) - leap_years(1970) + in_year + u64::from(is_leap && month > 2)
}

/// A moment's text. Nothing later than the year 9999 can be written, and stands for it.
pub(super) fn write(time: Time) -> String {
    let ms = time.0.min(days_before(10_000, 1) * DAY_MS - 1);
    let days = ms / DAY_MS;
    // A year has less than 366 days on average, so the guess is never too early by more than a few years.
    let mut year = 1970 + days / 366;
    while days_before(year + 1, 1) <= days {
        year += 1;
    }
    let month = (2..=12).rev().find(|&month| days_before(year, month) <= days).unwrap_or(1);
    let day = days - days_before(year, month) + 1;
    let (hour, minute, second) = (ms / 3_600_000 % 24, ms / 60_000 % 60, ms / 1000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", ms % 1000)
}

/// The moment of a text in UTC, to the millisecond; `None` when it is none or before 1970.
pub(super) fn read(text: &str) -> Option<Time> {
    let number = |from: usize, to: usize| {
        let digits = text.get(from..to)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<u64>().ok())?
    };
    let marks = [(4, "-"), (7, "-"), (10, "T"), (13, ":"), (16, ":")];
    if !marks.iter().all(|&(at, mark)| text.get(at..at + 1) == Some(mark)) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 59
    {
        return None;
    }
    let rest = text.get(19..)?.strip_suffix('Z')?;
    let ms = match rest.strip_prefix('.') {
        None if rest.is_empty() => 0,
        Some(digits) if (1..=9).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("{digits:0<3}").get(..3)?.parse().ok()?
        }
        _ => return None,
    };
    let days = days_before(year, month) + day - 1;
    Some(Time(days * DAY_MS + hour * 3_600_000 + minute * 60_000 + second * 1000 + ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_689_321_600_250, "2023-07-14T08:00:00.250Z"),
            (1_709_164_800_000, "2024-02-29T00:00:00.000Z"),
            (1_735_689_599_000, "2024-12-31T23:59:59.000Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(write(Time(ms)), text);
            assert_eq!(read(text), Some(Time(ms)));
        }
        assert_eq!(write(Time(u64::MAX)), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn every_day_comes_back() {
        for day in 0..60_000 {
            let time = Time(day * DAY_MS + 45_296_789);
            assert_eq!(read(&write(time)), Some(time));
        }
    }

    #[test]
    fn other_texts() {
        assert_eq!(read("1970-01-01T00:00:01Z"), Some(Time(1000)));
        assert_eq!(read("1970-01-01T00:00:01.5Z"), Some(Time(1500)));
        assert_eq!(read("1970-01-01T00:00:01.123456789Z"), Some(Time(1123)));
        for wrong in [
            "",
            "Z",
            "1969-12-31T23:59:59Z",
            "1970-13-01T00:00:00Z",
            "1970-01-00T00:00:00Z",
            "1970-01-01T24:00:00Z",
            "1970-01-01T00:00:00",
            "1970-01-01T00:00:00.Z",
            "1970-01-01T00:00:00.1234567890Z",
            "1970-01-01 00:00:00Z",
            "1970-01-01T00:00:00+01:00",
            "+970-01-01T00:00:00Z",
            "1970-01-01T00:00:0éZ",
            "ééééééééééé",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
