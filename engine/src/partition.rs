//! Which of the fixed partitions a source belongs to: a stable hash of its user and of what its polls must share (the account, or
//! the host that is called). Never change it: stored rows carry the result, and nodes agree by it.

use crate::ids::UserId;

/// How many partitions there are.
pub const PARTITIONS: i64 = 256;

/// FNV-1a, 64 bits (<http://www.isthe.com/chongo/tech/comp/fnv/>).
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

/// The partition (0 to 255) of a source of `user` that is anchored at `anchor`: an account id, a host in lower case, or whatever
/// else keeps sources together.
pub fn of(user: UserId, anchor: &str) -> i64 {
    let hash = fnv1a(user.0.as_bytes().iter().chain(anchor.as_bytes()));
    // The low byte of FNV-1a mixes poorly for short inputs: fold the high half in.
    i64::try_from((hash ^ (hash >> 32)) % PARTITIONS.unsigned_abs()).unwrap_or(0)
}

fn fnv1a<'a>(bytes: impl Iterator<Item = &'a u8>) -> u64 {
    bytes.fold(FNV_OFFSET, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(FNV_PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn the_hash_is_fnv_1a_as_published() {
        for (text, hash) in
            [("", 0xcbf2_9ce4_8422_2325), ("a", 0xaf63_dc4c_8601_ec8c), ("foobar", 0x8594_4171_f739_67e8_u64)]
        {
            assert_eq!(fnv1a(text.as_bytes().iter()), hash, "{text}");
        }
    }

    #[test]
    fn partitions_never_change() {
        let user = UserId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001));
        for (anchor, part) in
            [("", 14), ("example.org", 140), ("example.com", 34), ("01920000-0000-7000-8000-000000000001", 116)]
        {
            assert_eq!(of(user, anchor), part, "{anchor}");
        }
    }

    #[test]
    fn the_hosts_of_one_user_spread_over_the_partitions() {
        let user = UserId::new();
        let used: std::collections::HashSet<i64> = (0..2_000).map(|n| of(user, &format!("host{n}.example"))).collect();
        assert!(used.len() > 250, "{} of 256", used.len());
    }
}
