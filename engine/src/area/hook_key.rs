//! The key in a hook's URL: the AREA's id and a proof that we made it. Nothing is stored; a valid key without a row is an AREA
//! that was deleted.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use crate::ids::AreaId;
use crate::vault::KeyRing;

const ID: usize = 16;
const PROOF: usize = 16;
const PURPOSE: &str = "hook";

/// The key of `area`: 43 characters that a URL's path can carry.
pub fn of(area: AreaId, ring: &KeyRing) -> String {
    let mut bytes = [0; ID + PROOF];
    bytes[..ID].copy_from_slice(area.0.as_bytes());
    bytes[ID..].copy_from_slice(&ring.mac(PURPOSE, area.0.as_bytes())[..PROOF]);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The AREA that `key` was made for; `None` for what we never made. Compares in constant time.
pub fn verify(key: &str, ring: &KeyRing) -> Option<AreaId> {
    let bytes: [u8; ID + PROOF] = URL_SAFE_NO_PAD.decode(key).ok()?.try_into().ok()?;
    let area = AreaId(Uuid::from_slice(&bytes[..ID]).ok()?);
    ring.verify_mac(PURPOSE, area.0.as_bytes(), &bytes[ID..]).then_some(area)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_leads_back_to_its_area_and_nothing_else_does() {
        let (ring, other) = (KeyRing::generate().unwrap(), KeyRing::generate().unwrap());
        let area = AreaId::new();
        let key = of(area, &ring);
        assert_eq!(key.len(), 43);
        assert_eq!(verify(&key, &ring), Some(area));
        assert_eq!(verify(&key, &other), None);
        assert_eq!(verify(&key[..42], &ring), None);
        assert_eq!(verify("", &ring), None);
        for i in 0..key.len() {
            let mut changed = key.clone().into_bytes();
            changed[i] = if changed[i] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(verify(&changed, &ring), None, "character {i}");
        }
    }
}
