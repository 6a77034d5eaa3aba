//! The header of a batch, from annals' form to Kafka's (KIP-98) and back.
//!
//! ```text
//!     Kafka's, big-endian:
//!     base_offset i64 | length i32 | leader_epoch i32 | magic i8 = 2 | crc32c u32
//!     | attributes i16 | last_offset_delta i32 | base_timestamp i64 | max_timestamp i64
//!     | producer_id i64 | producer_epoch i16 | base_sequence i32 | record_count i32     61 bytes
//! ```
//!
//! Test code: it panics on what is not a batch.

/// Attribute bit: the identity block is there.
const IDENTITY: u16 = 0x0100;
/// Attribute bit: the stored Kafka checksum holds.
const KAFKA_CRC: u16 = 0x0200;
/// Bytes of Kafka's header.
pub const KAFKA_HEADER_LEN: usize = 61;
/// Where the bytes begin that Kafka's checksum covers.
const KAFKA_COVERED_AT: usize = 21;

/// Our batch in Kafka's form. A stored Kafka checksum is used as it is.
///
/// # Panics
/// When the bytes are too short for a batch.
#[must_use]
pub fn to_kafka(ours: &[u8]) -> Vec<u8> {
    let attributes = u16::from_le_bytes(part(ours, 52));
    let identified = attributes & IDENTITY != 0;
    let section = &ours[if identified { 80 } else { 56 }..];
    let mut covered = (attributes & 0x00ff).to_be_bytes().to_vec();
    covered.extend(u32::from_le_bytes(part(ours, 24)).to_be_bytes());
    covered.extend(i64::from_le_bytes(part(ours, 32)).to_be_bytes());
    covered.extend(i64::from_le_bytes(part(ours, 40)).to_be_bytes());
    let (id, epoch, sequence) = match identified {
        true => (
            i64::from_le_bytes(part(ours, 56)),
            i16::from_le_bytes(part(ours, 68)),
            i32::from_le_bytes(part(ours, 64)),
        ),
        false => (-1, -1, -1),
    };
    covered.extend(id.to_be_bytes());
    covered.extend(epoch.to_be_bytes());
    covered.extend(sequence.to_be_bytes());
    covered.extend(u32::from_le_bytes(part(ours, 28)).to_be_bytes());
    covered.extend(section);
    let crc = match attributes & KAFKA_CRC != 0 {
        true => u32::from_le_bytes(part(ours, 72)),
        false => crc32c(&covered),
    };
    let length = u32::try_from(covered.len() + 9).expect("a batch is below 4 GiB");
    let mut kafka = u64::from_le_bytes(part(ours, 16)).to_be_bytes().to_vec();
    kafka.extend(length.to_be_bytes());
    kafka.extend(u32::from_le_bytes(part(ours, 48)).to_be_bytes());
    kafka.push(2);
    kafka.extend(crc.to_be_bytes());
    kafka.extend(covered);
    kafka
}

/// Kafka's batch in our form, outside of a segment, with Kafka's checksum kept. No leader epoch (-1) becomes 0.
///
/// # Panics
/// When the bytes are too short for a batch.
#[must_use]
pub fn from_kafka(kafka: &[u8]) -> Vec<u8> {
    let attributes = u16::from_be_bytes(part(kafka, 21)) | IDENTITY | KAFKA_CRC;
    let length = u32::try_from(kafka.len() - KAFKA_HEADER_LEN + 80).expect("a batch is below 4 GiB");
    let epoch = i32::from_be_bytes(part(kafka, 12)).max(0);
    let mut covered = vec![0; 4];
    covered.extend(length.to_le_bytes());
    covered.extend([0; 4]);
    covered.extend(u64::from_be_bytes(part(kafka, 0)).to_le_bytes());
    covered.extend(u32::from_be_bytes(part(kafka, 23)).to_le_bytes());
    covered.extend(u32::from_be_bytes(part(kafka, 57)).to_le_bytes());
    covered.extend(i64::from_be_bytes(part(kafka, 27)).to_le_bytes());
    covered.extend(i64::from_be_bytes(part(kafka, 35)).to_le_bytes());
    covered.extend(epoch.to_le_bytes());
    covered.extend(attributes.to_le_bytes());
    covered.extend([0; 2]);
    covered.extend(i64::from_be_bytes(part(kafka, 43)).to_le_bytes());
    covered.extend(i32::from_be_bytes(part(kafka, 53)).to_le_bytes());
    covered.extend(i16::from_be_bytes(part(kafka, 51)).to_le_bytes());
    covered.extend([0; 2]);
    covered.extend(u32::from_be_bytes(part(kafka, 17)).to_le_bytes());
    covered.extend([0; 4]);
    covered.extend(&kafka[KAFKA_HEADER_LEN..]);
    [&crc(0xedb8_8320, &covered).to_le_bytes()[..], &covered].concat()
}

/// Whether the checksum in Kafka's header is that of its bytes.
///
/// # Panics
/// When the bytes are too short for a batch.
#[must_use]
pub fn kafka_crc_holds(kafka: &[u8]) -> bool {
    u32::from_be_bytes(part(kafka, 17)) == crc32c(&kafka[KAFKA_COVERED_AT..])
}

/// CRC-32C, Castagnoli's.
#[must_use]
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc(0x82f6_3b78, bytes)
}

/// A reflected CRC of 32 bits, bit by bit.
fn crc(polynomial: u32, bytes: &[u8]) -> u32 {
    let mut remainder = u32::MAX;
    for byte in bytes {
        remainder ^= u32::from(*byte);
        for _ in 0..8 {
            let carry = remainder & 1 == 1;
            remainder >>= 1;
            if carry {
                remainder ^= polynomial;
            }
        }
    }
    !remainder
}

fn part<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("the range has this length")
}

#[cfg(test)]
mod tests {
    #[test]
    fn both_checksums_have_their_published_check_values() {
        assert_eq!(super::crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(super::crc(0xedb8_8320, b"123456789"), 0xcbf4_3926);
    }
}
