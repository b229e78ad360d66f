//! Services, actions and reactions by name.

use super::words::unknown;
use crate::port::{ActionSpec, ReactionSpec, Service, Services};

/// The service called `name`.
///
/// # Errors
/// A sentence that names the nearest service.
pub fn service(services: Services, name: &str) -> Result<&'static Service, String> {
    let found = services.iter().copied().find(|s| s.name == name);
    found.ok_or_else(|| unknown("service", name, &services.iter().map(|s| s.name).collect::<Vec<_>>()))
}

/// The action called `name` of `service`.
///
/// # Errors
/// A sentence that names the nearest action.
pub fn action(service: &'static Service, name: &str) -> Result<&'static ActionSpec, String> {
    let found = service.actions.iter().copied().find(|a| a.name == name);
    let what = || format!("action of {}", service.name);
    found.ok_or_else(|| unknown(&what(), name, &service.actions.iter().map(|a| a.name).collect::<Vec<_>>()))
}

/// The reaction called `name` of `service`.
///
/// # Errors
/// A sentence that names the nearest reaction.
pub fn reaction(service: &'static Service, name: &str) -> Result<&'static ReactionSpec, String> {
    let found = service.reactions.iter().copied().find(|r| r.name == name);
    let what = || format!("reaction of {}", service.name);
    found.ok_or_else(|| unknown(&what(), name, &service.reactions.iter().map(|r| r.name).collect::<Vec<_>>()))
}
