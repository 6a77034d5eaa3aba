//! A second encoder and decoder, written from `docs/format.md` without the first: slow and plain. Numbers are
//! taken apart by arithmetic in 128 bits, checksums are worked out bit by bit, everything is copied.

/// A batch as a person would write it down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plain {
    pub(super) salt: u64,
    pub(super) position: u32,
    pub(super) synced: u32,
    pub(super) base_offset: u64,
    pub(super) last_offset_delta: u32,
    pub(super) base_timestamp: i64,
    pub(super) max_timestamp: i64,
    pub(super) leader_epoch: u32,
    pub(super) attributes: u16,
    /// producer id, base sequence, producer epoch, Kafka's checksum
    pub(super) identity: Option<(i64, i32, i16, u32)>,
    pub(super) records: Vec<PlainRecord>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PlainRecord {
    pub(super) offset_delta: u32,
    pub(super) timestamp: i64,
    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Option<Vec<u8>>,
    pub(super) headers: Vec<(String, Option<Vec<u8>>)>,
}

pub(super) fn encode(batch: &Plain) -> Vec<u8> {
    let mut section = Vec::new();
    for record in &batch.records {
        section.extend(encode_record(record, batch.base_timestamp));
    }
    encode_around(batch, &section, u32::try_from(batch.records.len()).unwrap())
}

/// The batch with this section, whatever it holds, and this record count.
pub(super) fn encode_around(batch: &Plain, section: &[u8], record_count: u32) -> Vec<u8> {
    let head = if batch.identity.is_some() { 80 } else { 56 };
    let length = u32::try_from(head + section.len()).unwrap();
    let mut covered = Vec::new();
    let local = batch.salt != 0;
    covered.extend(if local { check(batch.salt, batch.position, length) } else { 0 }.to_le_bytes());
    covered.extend(length.to_le_bytes());
    covered.extend(batch.synced.to_le_bytes());
    covered.extend(batch.base_offset.to_le_bytes());
    covered.extend(batch.last_offset_delta.to_le_bytes());
    covered.extend(record_count.to_le_bytes());
    covered.extend(batch.base_timestamp.to_le_bytes());
    covered.extend(batch.max_timestamp.to_le_bytes());
    covered.extend(batch.leader_epoch.to_le_bytes());
    covered.extend(batch.attributes.to_le_bytes());
    covered.extend([0; 2]);
    if let Some((id, sequence, epoch, crc32c)) = batch.identity {
        covered.extend(id.to_le_bytes());
        covered.extend(sequence.to_le_bytes());
        covered.extend(epoch.to_le_bytes());
        covered.extend([0; 2]);
        covered.extend(crc32c.to_le_bytes());
        covered.extend([0; 4]);
    }
    covered.extend(section);
    let mut bytes = crc32(&covered).to_le_bytes().to_vec();
    bytes.extend(covered);
    bytes
}

pub(super) fn encode_record(record: &PlainRecord, base_timestamp: i64) -> Vec<u8> {
    let mut body = vec![0];
    body.extend(number(i128::from(record.timestamp) - i128::from(base_timestamp)));
    body.extend(number(i128::from(record.offset_delta)));
    body.extend(nullable(record.key.as_deref()));
    body.extend(nullable(record.value.as_deref()));
    body.extend(number(i128::try_from(record.headers.len()).unwrap()));
    for (name, value) in &record.headers {
        body.extend(nullable(Some(name.as_bytes())));
        body.extend(nullable(value.as_deref()));
    }
    [number(i128::try_from(body.len()).unwrap()), body].concat()
}

fn nullable(bytes: Option<&[u8]>) -> Vec<u8> {
    match bytes {
        None => number(-1),
        Some(bytes) => [number(i128::try_from(bytes.len()).unwrap()), bytes.to_vec()].concat(),
    }
}

pub(super) fn number(value: i128) -> Vec<u8> {
    let mut rest = if value < 0 { -2 * value - 1 } else { 2 * value };
    let mut bytes = Vec::new();
    while rest > 127 {
        bytes.push(u8::try_from(128 + rest % 128).unwrap());
        rest /= 128;
    }
    bytes.push(u8::try_from(rest).unwrap());
    bytes
}

/// The batch that `bytes` are, of those that lie at this place of this segment.
pub(super) fn decode(bytes: &[u8], salt: u64, position: u32) -> Option<Plain> {
    let u16_at = |at: usize| Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().unwrap()));
    let u32_at = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().unwrap()));
    let u64_at = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().unwrap()));
    if u64_at(48)? >> 48 != 0 {
        return None;
    }
    let length = u32_at(8)?;
    let bytes = bytes.get(..usize::try_from(length).ok()?)?;
    if u32_at(4)? != check(salt, position, length) || u32_at(0)? != crc32(bytes.get(4..)?) {
        return None;
    }
    let attributes = u16_at(52)?;
    if attributes & 0b1111_1100_1000_0000 != 0 || (attributes & 0x210 != 0 && attributes & 0x100 == 0) {
        return None;
    }
    let mut at = 56;
    let mut identity = None;
    if attributes & 0x100 != 0 {
        if u16_at(70)? != 0 || u32_at(76)? != 0 || bytes.len() < 80 {
            return None;
        }
        let (id, sequence) = (u64_at(56)?.cast_signed(), u32_at(64)?.cast_signed());
        identity = Some((id, sequence, u16_at(68)?.cast_signed(), u32_at(72)?));
        at = 80;
    }
    let (base_offset, last_offset_delta, count) = (u64_at(16)?, u32_at(24)?, u32_at(28)?);
    let end = u128::from(base_offset) + u128::from(last_offset_delta) + 1;
    if end > (1 << 63) - 1
        || last_offset_delta > 0x7fff_ffff
        || u64::from(count) > u64::from(last_offset_delta) + 1
    {
        return None;
    }
    let (base_timestamp, max_timestamp) = (u64_at(32)?.cast_signed(), u64_at(40)?.cast_signed());
    let append_time = (attributes & 8 != 0).then_some(max_timestamp);
    let mut records: Vec<PlainRecord> = Vec::new();
    if attributes & 7 == 0 {
        for _ in 0..count {
            let record = decode_record(bytes, &mut at, base_timestamp, append_time)?;
            let grows = records.last().is_none_or(|last| last.offset_delta < record.offset_delta);
            if !grows || record.offset_delta > last_offset_delta || record.timestamp > max_timestamp {
                return None;
            }
            records.push(record);
        }
        if at != bytes.len() {
            return None;
        }
    }
    Some(Plain {
        salt,
        position,
        synced: u32_at(12)?,
        base_offset,
        last_offset_delta,
        base_timestamp,
        max_timestamp,
        leader_epoch: u32_at(48)?,
        attributes,
        identity,
        records,
    })
}

fn decode_record(bytes: &[u8], at: &mut usize, base: i64, append_time: Option<i64>) -> Option<PlainRecord> {
    let len = usize::try_from(read_number(bytes, at, 32)?).ok()?;
    let body = bytes.get(*at..)?.get(..len)?;
    *at += len;
    let mut inside = 1;
    body.first()?;
    let timestamp = i64::try_from(i128::from(base) + read_number(body, &mut inside, 64)?).ok();
    let offset_delta = u32::try_from(read_number(body, &mut inside, 32)?).ok()?;
    let key = read_nullable(body, &mut inside)?;
    let value = read_nullable(body, &mut inside)?;
    let count = u32::try_from(read_number(body, &mut inside, 32)?).ok()?;
    let mut headers = Vec::new();
    if count > 65_535 {
        return None;
    }
    for _ in 0..count {
        let name = String::from_utf8(read_nullable(body, &mut inside)??).ok()?;
        headers.push((name, read_nullable(body, &mut inside)?));
    }
    let timestamp = append_time.or(timestamp)?;
    (inside == len).then_some(PlainRecord { offset_delta, timestamp, key, value, headers })
}

fn read_nullable(bytes: &[u8], at: &mut usize) -> Option<Option<Vec<u8>>> {
    match read_number(bytes, at, 32)? {
        -1 => Some(None),
        len => {
            let taken = bytes.get(*at..)?.get(..usize::try_from(len).ok()?)?;
            *at += taken.len();
            Some(Some(taken.to_vec()))
        }
    }
}

/// A zig-zag number of at most `bits` bits, in as many groups of 7 as those take.
fn read_number(bytes: &[u8], at: &mut usize, bits: u32) -> Option<i128> {
    let mut sum = 0_i128;
    for group in 0..bits.div_ceil(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        sum += i128::from(byte % 128) << (7 * group);
        if byte < 128 {
            let fits = sum < 1 << bits;
            return fits.then_some(if sum % 2 == 0 { sum / 2 } else { -(sum + 1) / 2 });
        }
    }
    None
}

pub(super) fn check(salt: u64, position: u32, length: u32) -> u32 {
    fn mix(x: u64) -> u64 {
        let times = |a: u64, b: u64| u64::try_from(u128::from(a) * u128::from(b) % (1 << 64)).unwrap();
        let x = times(x ^ (x / (1 << 30)), 0xBF58_476D_1CE4_E5B9);
        let x = times(x ^ (x / (1 << 27)), 0x94D0_49BB_1331_11EB);
        x ^ (x / (1 << 31))
    }
    let salted = u64::try_from((u128::from(salt) + 0x9E37_79B9_7F4A_7C15) % (1 << 64)).unwrap();
    let span = u64::from(length) * (1 << 32) + u64::from(position);
    let word = u32::try_from(mix(mix(salted) ^ span) / (1 << 32)).unwrap();
    if word == 0 { 1 } else { word }
}

pub(super) fn crc32(bytes: &[u8]) -> u32 {
    let mut remainder = u32::MAX;
    for byte in bytes {
        for bit in 0..8 {
            let top = remainder & 1 != u32::from(byte >> bit & 1);
            remainder >>= 1;
            if top {
                remainder ^= 0xEDB8_8320;
            }
        }
    }
    !remainder
}
