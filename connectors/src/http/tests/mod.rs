//! The service against servers on loopback, polled as the engine does.

mod changed;
mod health;
mod new_item;
mod request;
