//! Whose turn it is. In production tokio decides, and this is nothing. A simulation (feature `testkit`) lets one task go at a time,
//! as its seed says, so that what happened once can happen again.

#[cfg(feature = "testkit")]
pub(crate) use crate::testkit::turns::taken;

/// The work itself.
#[cfg(not(feature = "testkit"))]
#[inline(always)]
pub(crate) fn taken<F: Future<Output = ()>>(work: F) -> F {
    work
}
