//! Which partition a key belongs to: the rule of Kafka's clients, so that data can move between the two.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

/// The seed that Kafka's clients use.
const SEED: u32 = 0x9747_b28c;
/// Multiplier of murmur2.
const M: u32 = 0x5bd1_e995;

/// The partition, of `partition_count`, that records with this key go to; 0 when there is none.
pub(crate) fn partition_for_key(key: &[u8], partition_count: u32) -> u32 {
    // The sign bit is cleared, not the sign: that is what Kafka calls "to positive".
    (murmur2(key) & 0x7fff_ffff).checked_rem(partition_count).unwrap_or(0)
}

/// The partition, of `partition_count`, that librdkafka's CRC-32 partitioners send this key to.
pub(crate) fn crc32_partition_for_key(key: &[u8], partition_count: u32) -> u32 {
    crate::record::plain_crc32(key).checked_rem(partition_count).unwrap_or(0)
}

/// Austin Appleby's murmur2, 32 bits, by Kafka's seed.
fn murmur2(bytes: &[u8]) -> u32 {
    // Kafka's lengths are 32-bit; of a longer key the low bits count, as they would in Java.
    let len = u32::try_from(bytes.len() & 0xffff_ffff).unwrap_or(u32::MAX);
    let (words, rest) = bytes.as_chunks::<4>();
    let mut hash = SEED ^ len;
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !rest.is_empty() {
        let last = rest.iter().rev().fold(0_u32, |last, byte| (last << 8) | u32::from(*byte));
        hash = (hash ^ last).wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VECTORS: [(&str, i32); 10] = [
        ("21", -973_932_308),
        ("foobar", -790_332_482),
        ("abc", 479_470_107),
        ("", 275_646_681),
        ("a-little-bit-long-string", -985_981_536),
        ("a-little-bit-longer-string", -1_486_304_829),
        ("k", -1_567_496_736),
        ("user-42", 1_459_644_460),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        ("clé", 1_419_575_574),
    ];

    /// SEMANTICS 25
    #[test]
    fn a_key_goes_where_kafka_sends_it() {
        for (key, hash) in VECTORS {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), hash, "{key:?}");
        }
        assert_eq!(partition_for_key(b"foobar", 10), 6, "4 is an unsigned slip, 2 is an absolute value");
        assert_eq!(partition_for_key(b"foobar", 1), 0);
    }

    #[test]
    fn every_key_has_a_partition_that_exists() {
        for count in [1, 2, 3, 7, 1_000, u32::MAX] {
            for key in 0..100_u32 {
                assert!(partition_for_key(&key.to_le_bytes(), count) < count);
            }
        }
    }
}
