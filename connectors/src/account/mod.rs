//! The service `account`: what becomes of the accounts that a user linked.

mod changes;

use engine::port::Service;

/// See the module.
pub static ACCOUNT: Service = Service {
    name: "account",
    title: "Accounts",
    description: "Watches the accounts that you linked.",
    provider: None,
    options: &[],
    actions: &[&changes::NEEDS_RECONNECT, &changes::EXPIRES_SOON],
    reactions: &[],
};
