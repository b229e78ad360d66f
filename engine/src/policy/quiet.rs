//! Quiet hours as instants. Each window runs from the instant at which the zone shows `from` to the one at which it shows `to`: in
//! a spring gap the first instant after it, in an autumn fold the first pass. So a window is as long as the night really is.

use chrono::{Datelike, Days, NaiveDate};
use chrono_tz::Tz;

use super::model::QuietHours;
use crate::clock::{Micros, from_micros};
use crate::zone::{instant, zone};

impl QuietHours {
    /// The end of the quiet hours that `at` falls into; `None` outside of them.
    pub fn end(&self, at: Micros) -> Option<Micros> {
        // An unknown zone is refused when the policy is saved; should the name vanish later, UTC is the nearest truth.
        let zone = self.tz.as_deref().map_or(Ok(Tz::UTC), zone).unwrap_or(Tz::UTC);
        let today = from_micros(at).with_timezone(&zone).date_naive();
        let days = [today.checked_sub_days(Days::new(1)), Some(today)];
        days.into_iter()
            .flatten()
            .filter_map(|day| self.window(zone, day))
            .find(|(from, to)| (*from..*to).contains(&at))
            .map(|(_, to)| to)
    }

    /// The window that begins on `day`, if one does.
    fn window(&self, zone: Tz, day: NaiveDate) -> Option<(Micros, Micros)> {
        if !self.days.as_ref().is_none_or(|days| days.iter().any(|own| own.is(day.weekday()))) {
            return None;
        }
        let last = if self.to <= self.from { day.checked_add_days(Days::new(1))? } else { day };
        let from = instant(zone, day.and_time(self.from.time()))?;
        let to = instant(zone, last.and_time(self.to.time()))?;
        Some((from.timestamp_micros(), to.timestamp_micros()))
    }
}
