//! The daemon's log and metrics, set up once at start.

use std::io::IsTerminal;
use std::time::Duration;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

use crate::settings::{Log, LogFormat};

/// How often the metrics' histograms are drained.
const UPKEEP: Duration = Duration::from_secs(5);
/// Libraries that are quiet unless the filter names them.
const QUIET: [&str; 3] = ["sqlx=warn", "hyper=warn", "rustls=warn"];

/// The filter that a setting means.
///
/// # Errors
/// Says which directive is wrong.
pub fn filter(text: &str) -> Result<EnvFilter, ParseError> {
    let quiet = QUIET.into_iter().filter(|q| !text.contains(q.split('=').next().unwrap_or(q)));
    let all = quiet.chain([text]).collect::<Vec<_>>().join(",");
    EnvFilter::builder().parse(all)
}

/// Starts the log, on stdout. A second call in one process changes nothing.
pub fn start_log(log: &Log) {
    let filter = filter(&log.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(std::io::stdout().is_terminal());
    let _ = match log.format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
}

/// Starts the metrics. The handle renders them for `/metrics`.
///
/// # Errors
/// When there is a recorder already.
pub fn start_metrics() -> Result<PrometheusHandle, String> {
    let handle = PrometheusBuilder::new().install_recorder().map_err(|e| e.to_string())?;
    let upkeep = handle.clone();
    tokio::spawn(async move {
        let mut every = tokio::time::interval(UPKEEP);
        loop {
            every.tick().await;
            upkeep.run_upkeep();
        }
    });
    Ok(handle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_keeps_libraries_quiet_unless_it_names_them() {
        let check = |text: &str, part: &str, there: bool| {
            assert_eq!(filter(text).unwrap().to_string().contains(part), there, "{text}");
        };
        check("info", "sqlx=warn", true);
        check("info,sqlx=debug", "sqlx=warn", false);
        check("info,sqlx=debug", "sqlx=debug", true);
        assert!(filter("info,engine=loud").is_err());
    }
}
