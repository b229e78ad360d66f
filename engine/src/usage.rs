//! What calling a provider's APIs has cost and taught: units per account and per app (governor limits with the quotas of the
//! provider's table), the pauses that the provider asked for, and what it answered before where that says how to ask next. All of
//! it in memory of one node, long pauses aside, which every node honours (`node::pauses`); quotas are divided by the nodes that are
//! alive. It lives in the time that callers pass in.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::sync::Mutex;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::InMemoryState;
use governor::state::direct::NotKeyed;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio::sync::Notify;
use tokio::time::Instant;
use url::Url;

use crate::clock::from_micros;
use crate::duration::Span;
use crate::fault::Fault;
use crate::ids::AccountId;
use crate::net::Time;
use crate::node::lock;
use crate::outcome::LONGEST_POLL_WAIT;
use crate::store::pauses::Pause;
use crate::vault::Provider;

/// A quota is given out as a burst of one part in so many at once, and the rest evenly: so no window, wherever it begins, holds
/// more than the whole.
const BURST: u32 = 6;
/// Pauses that are remembered; beyond it the one that ends soonest is forgotten.
const HOLDS: usize = 4096;
/// A pause that is longer than this is for the other nodes too, and for who restarts.
const LONG: TimeDelta = TimeDelta::minutes(1);
/// How long what an API answered once is believed.
const BELIEVED: TimeDelta = TimeDelta::days(1);
/// Accounts that did not call lately are forgotten every so many spends.
const SPENDS_PER_SWEEP: u64 = 8192;

/// So many units in such a time, written `6000/1m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    units: NonZeroU32,
    per: Span,
}

impl FromStr for Allowance {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no quota: write units and a time, such as \"6000/1m\"");
        let (units, per) = text.split_once('/').ok_or_else(wrong)?;
        let units = units.trim().parse().map_err(|_| wrong())?;
        let per: Span = per.trim().parse().map_err(|_| wrong())?;
        if per.is_zero() { Err(wrong()) } else { Ok(Self { units, per }) }
    }
}

impl fmt::Display for Allowance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.units, self.per)
    }
}

impl Serialize for Allowance {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Allowance {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Allowance {
    fn burst(self) -> NonZeroU32 {
        NonZeroU32::new(self.units.get().div_ceil(BURST)).unwrap_or(NonZeroU32::MIN)
    }

    fn quota(self) -> Option<Quota> {
        let evenly = (self.units.get() - self.burst().get()).max(1);
        Quota::with_period(self.per.duration() / evenly).map(|quota| quota.allow_burst(self.burst()))
    }
}

/// Whose quota it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Share {
    /// One account's.
    Account,
    /// Everybody's: this installation's, as the provider knows it.
    App,
}

type Limiter<K, S> = RateLimiter<K, S, Time, NoOpMiddleware<Nanos>>;

/// The limits of one API.
struct Limits {
    account: Option<(Allowance, Limiter<AccountId, DashMapStateStore<AccountId>>)>,
    app: Option<(Allowance, Limiter<NotKeyed, InMemoryState>)>,
}

#[derive(Clone, Debug)]
struct Held {
    until: DateTime<Utc>,
    why: String,
}

/// Provider, API, and the account where it is that account's alone.
type HoldKey = (String, String, Option<AccountId>);
/// Provider, and what of it was learnt.
type KnownKey = (String, &'static str);

/// What is known of every API.
#[derive(Default)]
pub struct Usage {
    time: Time,
    limits: HashMap<(String, String), Limits>,
    holds: Mutex<HashMap<HoldKey, Held>>,
    /// Long pauses that began here, until somebody takes them.
    begun: Mutex<Vec<Pause>>,
    has_begun: Notify,
    known: Mutex<HashMap<KnownKey, (String, DateTime<Utc>)>>,
    spends: std::sync::atomic::AtomicU64,
}

impl fmt::Debug for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Usage").field("apis", &self.limits.len()).finish_non_exhaustive()
    }
}

impl Usage {
    /// With the quotas of these providers' tables.
    pub fn new<'a>(providers: impl IntoIterator<Item = &'a Provider>) -> Self {
        let mut usage = Self::default();
        for provider in providers {
            usage.limit(&provider.name, &provider.account_quota, &provider.app_quota);
        }
        usage
    }

    /// Adds the quotas of one provider, by the name of the API.
    pub fn limit(&mut self, provider: &str, account: &BTreeMap<String, Allowance>, app: &BTreeMap<String, Allowance>) {
        for api in account.keys().chain(app.keys()) {
            let of = |table: &BTreeMap<String, Allowance>| Some((*table.get(api)?, table.get(api)?.quota()?));
            let limits = Limits {
                account: of(account).map(|(a, q)| (a, RateLimiter::dashmap_with_clock(q, self.time.clone()))),
                app: of(app).map(|(a, q)| (a, RateLimiter::direct_with_clock(q, self.time.clone()))),
            };
            self.limits.insert((provider.to_owned(), api.clone()), limits);
        }
    }

    /// Waits until a long pause begins here.
    pub(crate) async fn begins(&self) {
        self.has_begun.notified().await;
    }

    /// The long pauses that began here since this was asked last.
    pub(crate) fn begun(&self) -> Vec<Pause> {
        std::mem::take(&mut *lock(&self.begun))
    }

    /// Pauses that began elsewhere, or before a restart.
    pub(crate) fn learn(&self, pauses: Vec<Pause>, now: DateTime<Utc>) {
        for Pause { provider, api, account_id, until_at, why } in pauses {
            self.hold((provider, api, account_id), Held { until: from_micros(until_at), why }, now);
        }
    }

    /// Holds whose key it is; by how much longer than was known, or than now.
    fn hold(&self, key: HoldKey, held: Held, now: DateTime<Utc>) -> TimeDelta {
        let mut holds = lock(&self.holds);
        holds.retain(|_, held| held.until > now);
        let longer = held.until - holds.get(&key).map_or(now, |known| known.until);
        if longer > TimeDelta::zero() {
            if holds.len() >= HOLDS && !holds.contains_key(&key) {
                let soonest = holds.iter().min_by_key(|(_, held)| held.until).map(|(key, _)| key.clone());
                soonest.and_then(|key| holds.remove(&key));
            }
            holds.insert(key, held);
        }
        longer
    }
}

/// One API of a provider, as one account may use it.
#[derive(Clone, Copy, Debug)]
pub struct Api<'a> {
    /// Who issued the account's token.
    pub provider: &'a str,
    /// Its name among the provider's APIs.
    pub name: &'a str,
    /// Where it is.
    pub base: &'a Url,
    /// Whose calls these are.
    pub account: AccountId,
    /// What is known of it.
    pub usage: &'a Usage,
    /// Nodes that share its quotas.
    pub nodes: u32,
}

impl Api<'_> {
    /// Takes `units` from the account's share and from the app's.
    ///
    /// # Errors
    /// `Held` while the provider's own pause lasts, or until the share has that much again. What the account's share gave is spent
    /// where the app's has nothing.
    pub fn spend(&self, units: u32, now: DateTime<Utc>) -> Result<(), Fault> {
        self.take(units, now, &mut false)
    }

    /// `has_own`: the account's share gave its part already.
    fn take(&self, units: u32, now: DateTime<Utc>, has_own: &mut bool) -> Result<(), Fault> {
        self.held(now)?;
        let Some(limits) = self.usage.limits.get(&self.key()) else { return Ok(()) };
        self.usage.time.pass(now);
        self.sweep(limits);
        if let Some((allowance, limiter)) = limits.account.as_ref().filter(|_| !*has_own) {
            let cost = self.cost(units, *allowance);
            self.judge(limiter.check_key_n(&self.account, cost), *allowance, "this account's", now)?;
            *has_own = true;
        }
        if let Some((allowance, limiter)) = &limits.app {
            self.judge(limiter.check_n(self.cost(units, *allowance)), *allowance, "this installation's", now)?;
        }
        metrics::counter!("area_api_units_total", "provider" => self.provider.to_owned(), "api" => self.name.to_owned())
            .increment(units.into());
        Ok(())
    }

    /// The same, as soon as there is room, where that is within `patience`.
    ///
    /// # Errors
    /// As [`spend`](Self::spend).
    pub async fn spend_soon(&self, units: u32, mut now: DateTime<Utc>, patience: TimeDelta) -> Result<(), Fault> {
        let (waits, mut has_own) = (now + patience, false);
        loop {
            match self.take(units, now, &mut has_own) {
                Err(Fault::Held { until: at, .. }) if at <= waits => {
                    tokio::time::sleep((at - now).to_std().unwrap_or_default()).await;
                    now = at;
                }
                spent => return spent,
            }
        }
    }

    /// How many calls of `each` units one [`spend`](Self::spend) can hold: what is sent together must not cost more.
    pub fn at_once(&self, each: u32) -> usize {
        let Some(limits) = self.usage.limits.get(&self.key()) else { return usize::MAX };
        let all = [limits.account.as_ref().map(|(a, _)| *a), limits.app.as_ref().map(|(a, _)| *a)];
        let least = all.into_iter().flatten().map(|allowance| allowance.burst().get()).min().unwrap_or(u32::MAX);
        let each = each.max(1).saturating_mul(self.nodes.max(1));
        usize::try_from(least / each).unwrap_or(usize::MAX).max(1)
    }

    /// The provider asked for a pause: nobody whose share it is calls before `until`, within [`LONGEST_POLL_WAIT`]. Gives when it ends.
    pub fn hold(&self, share: Share, until: DateTime<Utc>, why: &str, now: DateTime<Utc>) -> DateTime<Utc> {
        let longest = from_micros(now.timestamp_micros().saturating_add(LONGEST_POLL_WAIT.micros()));
        let (key, why, until) = (self.hold_key(share), why.to_owned(), until.min(longest));
        if self.usage.hold(key.clone(), Held { until, why: why.clone() }, now) > LONG {
            let ((provider, api, account_id), until_at) = (key, until.timestamp_micros());
            lock(&self.usage.begun).push(Pause { provider, api, account_id, until_at, why });
            self.usage.has_begun.notify_one();
        }
        until
    }

    /// What an earlier answer of this app's API taught; believed for a day.
    pub fn recall(&self, what: &'static str, now: DateTime<Utc>) -> Option<String> {
        let known = lock(&self.usage.known);
        let (value, at) = known.get(&(self.provider.to_owned(), what))?;
        (now - *at < BELIEVED).then(|| value.clone())
    }

    /// Keeps what an answer taught, for every account: it is the app that was answered.
    pub fn remember(&self, what: &'static str, value: &str, now: DateTime<Utc>) {
        lock(&self.usage.known).insert((self.provider.to_owned(), what), (value.to_owned(), now));
    }

    /// A call that was not made: our own limits, or a pause, held it back.
    pub fn held_back(&self, call: &'static str) {
        self.count(call, "held");
    }

    fn count(&self, call: &'static str, outcome: &'static str) {
        let (provider, api) = self.key();
        let labels = [("provider", provider), ("api", api), ("call", call.to_owned()), ("outcome", outcome.to_owned())];
        metrics::counter!("area_api_calls_total", &labels).increment(1);
    }

    /// Begins to measure a call.
    pub fn measure(&self, call: &'static str) -> Measured<'_> {
        Measured { api: self, call, began: Instant::now() }
    }

    fn key(&self) -> (String, String) {
        (self.provider.to_owned(), self.name.to_owned())
    }

    fn hold_key(&self, share: Share) -> HoldKey {
        let (provider, api) = self.key();
        (provider, api, (share == Share::Account).then_some(self.account))
    }

    fn held(&self, now: DateTime<Utc>) -> Result<(), Fault> {
        let holds = lock(&self.usage.holds);
        if holds.is_empty() {
            return Ok(());
        }
        let both = [Share::Account, Share::App].map(|share| holds.get(&self.hold_key(share)));
        match both.into_iter().flatten().filter(|held| held.until > now).max_by_key(|held| held.until) {
            Some(held) => Err(Fault::Held { until: held.until, why: held.why.clone() }),
            None => Ok(()),
        }
    }

    /// What a call costs here: the quota is divided by the nodes. A single call that costs more than a burst waits for a whole one.
    fn cost(&self, units: u32, allowance: Allowance) -> NonZeroU32 {
        let cost = units.max(1).saturating_mul(self.nodes.max(1)).min(allowance.burst().get());
        NonZeroU32::new(cost).unwrap_or(NonZeroU32::MIN)
    }

    fn judge<E>(
        &self,
        checked: Result<Result<(), governor::NotUntil<Nanos>>, E>,
        allowance: Allowance,
        whose: &str,
        now: DateTime<Utc>,
    ) -> Result<(), Fault> {
        let Ok(Err(not_until)) = checked else { return Ok(()) };
        // Instants are whole microseconds: the next one.
        let wait = not_until.wait_time_from(self.usage.time.now()) + Duration::from_micros(1);
        let wait = TimeDelta::from_std(wait).unwrap_or_default();
        let why =
            format!("{whose} share of {} {} ({allowance} units) is used up for the moment", self.provider, self.name);
        Err(Fault::Held { until: now + wait, why })
    }

    fn sweep(&self, limits: &Limits) {
        let spends = self.usage.spends.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if spends % SPENDS_PER_SWEEP == SPENDS_PER_SWEEP - 1
            && let Some((_, limiter)) = &limits.account
        {
            limiter.retain_recent();
        }
    }
}

/// A call under way.
#[derive(Debug)]
pub struct Measured<'a> {
    api: &'a Api<'a>,
    call: &'static str,
    began: Instant,
}

impl Measured<'_> {
    /// It ended so: `ok`, `busy`, `quota`, `scope` …
    pub fn ended(self, outcome: &'static str) {
        let (provider, api) = self.api.key();
        let labels = [("provider", provider), ("api", api), ("call", self.call.to_owned())];
        metrics::histogram!("area_api_call_seconds", &labels).record(self.began.elapsed().as_secs_f64());
        self.api.count(self.call, outcome);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    fn table(text: &str) -> BTreeMap<String, Allowance> {
        if text.is_empty() { BTreeMap::new() } else { [("mail".to_owned(), text.parse().unwrap())].into() }
    }

    fn usage(account: &str, app: &str) -> Usage {
        let mut usage = Usage::default();
        usage.limit("acme", &table(account), &table(app));
        usage
    }

    fn api<'a>(usage: &'a Usage, base: &'a Url, account: AccountId) -> Api<'a> {
        Api { provider: "acme", name: "mail", base, account, usage, nodes: 1 }
    }

    fn base() -> Url {
        Url::parse("https://mail.example/v1").unwrap()
    }

    /// Units that go through from `from` to `to`, a call of `each` tried every second.
    fn through(api: &Api<'_>, each: u32, from: i64, to: i64) -> u32 {
        let mut units = 0;
        for second in from..to {
            while api.spend(each, at(second)).is_ok() {
                units += each;
            }
        }
        units
    }

    #[test]
    fn a_quota_is_units_and_a_time() {
        for (text, fine) in [("6000/1m", true), ("1/1s", true), ("0/1m", false), ("6000", false), ("6/0s", false)] {
            let read = text.parse::<Allowance>();
            assert_eq!(read.is_ok(), fine, "{text} {read:?}");
            assert!(read.is_err() || read.unwrap().to_string() == text);
        }
    }

    #[test]
    fn no_minute_holds_more_than_the_quota_and_most_of_it_is_given_out() {
        let (usage, base) = (usage("6000/1m", ""), base());
        let api = api(&usage, &base, AccountId::new());
        let first = through(&api, 20, 0, 60);
        assert!((5900..=6000).contains(&first), "{first}");
        let second = through(&api, 20, 60, 120);
        assert!((4900..=6000).contains(&second), "{second}");
    }

    #[test]
    fn accounts_have_shares_of_their_own_and_the_app_has_one() {
        let (usage, base) = (usage("60/1m", "90/1m"), base());
        let (one, two) = (AccountId::new(), AccountId::new());
        assert_eq!(through(&api(&usage, &base, one), 1, 0, 1), 10);
        let why = api(&usage, &base, one).spend(1, at(0)).unwrap_err();
        assert!(why.why().contains("this account's share of acme mail (60/1m units)"), "{why}");
        assert_eq!(through(&api(&usage, &base, two), 1, 0, 1), 5, "what is left of the app's burst of 15");
        let why = api(&usage, &base, two).spend(1, at(0)).unwrap_err();
        assert!(matches!(&why, Fault::Held { until: when, .. } if *when > at(0) && *when < at(2)), "{why:?}");
    }

    #[test]
    fn nodes_divide_a_quota_among_them() {
        let (usage, base) = (usage("600/1m", ""), base());
        let api = Api { nodes: 4, ..api(&usage, &base, AccountId::new()) };
        let given = through(&api, 1, 0, 60);
        assert!((140..=150).contains(&given), "{given}");
    }

    #[test]
    fn a_call_that_costs_more_than_a_burst_goes_through_when_all_is_there() {
        let (usage, base) = (usage("60/1m", ""), base());
        let api = api(&usage, &base, AccountId::new());
        api.spend(100, at(0)).unwrap();
        assert!(api.spend(1, at(0)).is_err());
        api.spend(100, at(60)).unwrap();
    }

    #[test]
    fn a_share_that_is_used_up_names_the_instant_at_which_it_has_that_much_again() {
        let (usage, base) = (usage("7000/1s", ""), base());
        let api = api(&usage, &base, AccountId::new());
        let mut now = at(0);
        for _ in 0..1_000 {
            if let Err(Fault::Held { until: when, .. }) = api.spend(13, now) {
                now = from_micros(when.timestamp_micros());
                api.spend(13, now).unwrap();
            }
        }
        assert!(now > at(1), "it was used up");
    }

    #[tokio::test(start_paused = true)]
    async fn room_is_waited_for_where_it_is_near() {
        let (usage, base) = (usage("60/1m", ""), base());
        let api = api(&usage, &base, AccountId::new());
        api.spend(10, at(0)).unwrap();
        let began = Instant::now();
        let patience = TimeDelta::seconds(3);
        api.spend_soon(2, at(0), patience).await.unwrap();
        assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
        let began = Instant::now();
        let far = api.spend_soon(5, at(2), patience).await;
        assert!(matches!(far, Err(Fault::Held { until: when, .. }) if when > at(5)), "{far:?}");
        assert_eq!(began.elapsed(), Duration::ZERO);
    }

    #[test]
    fn who_waits_for_the_apps_share_takes_from_the_accounts_once() {
        let (usage, base) = (usage("180/1m", "60/1m"), base());
        let api = api(&usage, &base, AccountId::new());
        api.spend(10, at(0)).unwrap();
        let mut has_own = false;
        for _ in 0..5 {
            let fault = api.take(10, at(0), &mut has_own).unwrap_err();
            assert!(fault.why().contains("this installation's"), "{fault:?}");
        }
        api.take(10, at(13), &mut has_own).unwrap();
    }

    #[test]
    fn what_is_sent_together_fits_into_a_burst() {
        let (usage, base) = (usage("6000/1m", ""), base());
        let api = api(&usage, &base, AccountId::new());
        assert_eq!((api.at_once(20), Api { nodes: 3, ..api }.at_once(20)), (50, 16));
        assert_eq!((api.at_once(5000), Api { name: "free", ..api }.at_once(20)), (1, usize::MAX));
    }

    #[test]
    fn a_pause_that_was_asked_for_holds_whose_it_is_until_it_is_over() {
        let (usage, base) = (usage("", ""), base());
        let (one, two) = (AccountId::new(), AccountId::new());
        api(&usage, &base, one).hold(Share::Account, at(60), "called too often", at(0));
        let why = api(&usage, &base, one).spend(1, at(59)).unwrap_err();
        assert!(matches!(&why, Fault::Held { until: when, .. } if *when == at(60)));
        assert_eq!(why.why(), "called too often");
        api(&usage, &base, two).spend(1, at(59)).unwrap();
        api(&usage, &base, one).spend(1, at(60)).unwrap();
        api(&usage, &base, two).hold(Share::App, at(90), "quota", at(60));
        api(&usage, &base, two).hold(Share::App, at(80), "a shorter one does not end it", at(60));
        assert_eq!(api(&usage, &base, one).spend(1, at(89)).unwrap_err().why(), "quota");
        let other = Api { name: "drive", ..api(&usage, &base, one) };
        other.spend(1, at(61)).unwrap();
        other.hold(Share::App, at(30 * 86_400), "a slip", at(100));
        assert!(other.spend(1, at(86_499)).is_err());
        other.spend(1, at(86_500)).unwrap();
    }

    #[test]
    fn only_a_long_pause_is_told_to_others_once_and_they_honour_it() {
        let (usage, base) = (usage("", ""), base());
        let (one, two) = (AccountId::new(), AccountId::new());
        let hold = |share, until, begun: usize| {
            api(&usage, &base, one).hold(share, at(until), "quota", at(0));
            let all = usage.begun();
            assert_eq!(all.len(), begun, "until {until}");
            all
        };
        hold(Share::Account, 60, 0);
        hold(Share::App, 900, 1);
        // Calls that were under way at once are all refused: one is told.
        hold(Share::App, 900, 0);
        hold(Share::App, 905, 0);
        hold(Share::App, 300, 0);
        let told = [hold(Share::App, 3_600, 1), hold(Share::Account, 3_000, 1)].concat();

        let other = Usage::default();
        other.learn(told, at(100));
        let until = |account, now| match api(&other, &base, account).spend(1, at(now)) {
            Err(Fault::Held { until, why }) if why == "quota" => Some(until),
            _ => None,
        };
        assert_eq!([until(one, 100), until(two, 3_599)], [Some(at(3_600)); 2]);
        assert_eq!(until(two, 3_600), None);
        assert!(other.begun().is_empty(), "it is told by where it began");
    }

    #[test]
    fn what_an_api_taught_is_believed_for_a_day() {
        let (usage, base) = (usage("", ""), base());
        let api = api(&usage, &base, AccountId::new());
        assert_eq!(api.recall("items", at(0)), None);
        api.remember("items", "tracks", at(0));
        assert_eq!(api.recall("items", at(86_399)).as_deref(), Some("tracks"));
        assert_eq!(api.recall("items", at(86_400)), None);
    }

    #[test]
    fn pauses_cost_no_endless_memory() {
        let (usage, base) = (usage("", ""), base());
        for n in 0..HOLDS as i64 + 10 {
            api(&usage, &base, AccountId::new()).hold(Share::Account, at(60 + n), "x", at(0));
        }
        assert_eq!(lock(&usage.holds).len(), HOLDS);
    }
}
