//! Which partition a key belongs to: the rules of Kafka's clients, so that data can move between the two.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

use crate::record::crc32;

/// The hash of a key that says which partition its records go to.
///
/// Records of one key keep their order only while they go to one partition, so all who write a topic use the
/// same one.
///
/// ```
/// use annals::KeyHash;
/// assert_eq!(KeyHash::Murmur2.partition(b"foobar", 10), 6);
/// assert_eq!(KeyHash::Crc32.partition(b"foobar", 10), 9);
/// ```
#[doc(alias = "partitioner")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyHash {
    /// That of Kafka's Java client, and of [`Topic::partition_for_key`](crate::Topic::partition_for_key).
    #[doc(alias = "murmur2")]
    #[doc(alias = "murmur2_random")]
    #[default]
    Murmur2,
    /// CRC-32: that of librdkafka and the clients that stand on it.
    ///
    /// Unless they are told otherwise.
    #[doc(alias = "consistent")]
    #[doc(alias = "consistent_random")]
    Crc32,
}

impl KeyHash {
    /// The partition, of `partition_count`, of records with this key; 0 when there are none.
    ///
    /// The empty key has a hash as any other. (librdkafka's `consistent_random` treats it as no key.)
    #[must_use]
    pub fn partition(self, key: &[u8], partition_count: u32) -> u32 {
        let hash = match self {
            // The sign bit is cleared, not the sign: that is what Kafka calls "to positive".
            Self::Murmur2 => murmur2(key) & 0x7fff_ffff,
            Self::Crc32 => crc32(key),
        };
        hash.checked_rem(partition_count).unwrap_or(0)
    }
}

/// The seed that Kafka's clients use.
const SEED: u32 = 0x9747_b28c;
/// Multiplier of murmur2.
const M: u32 = 0x5bd1_e995;

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
        let partition = |count| KeyHash::Murmur2.partition(b"foobar", count);
        assert_eq!(partition(10), 6, "4 is an unsigned slip, 2 is an absolute value");
        assert_eq!((partition(1), partition(0)), (0, 0));
    }

    #[test]
    fn a_key_goes_where_librdkafka_sends_it() {
        for (key, hash) in [("", 0), ("foobar", 0x9ef6_1f95), ("123456789", 0xcbf4_3926)] {
            assert_eq!(KeyHash::Crc32.partition(key.as_bytes(), u32::MAX), hash, "{key:?}");
        }
    }

    #[test]
    fn every_key_has_a_partition_that_exists() {
        for count in [1, 2, 3, 7, 1_000, u32::MAX] {
            for key in 0..100_u32 {
                for hash in [KeyHash::Murmur2, KeyHash::Crc32] {
                    assert!(hash.partition(&key.to_le_bytes(), count) < count);
                }
            }
        }
    }
}
