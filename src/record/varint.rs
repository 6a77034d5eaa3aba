//! Kafka's variable-length integers: zig-zag, then 7 bits a byte, the lowest first.
//!
//! ```text
//!     0 -> 00    -1 -> 01    1 -> 02    63 -> 7e    -64 -> 7f    64 -> 80 01
//! ```

/// Bytes that a `varint` (32 bits) takes at most.
pub(crate) const VARINT_LEN_MAX: usize = 5;

/// Bytes that a `varlong` (64 bits) takes at most.
pub(crate) const VARLONG_LEN_MAX: usize = 10;

/// How many bytes `value` takes.
#[inline]
pub(crate) const fn varint_len(value: i32) -> usize {
    varlong_len(value as i64)
}

/// How many bytes `value` takes.
#[inline]
pub(crate) const fn varlong_len(value: i64) -> usize {
    match zigzag(value) {
        0..ONE_BYTE_END => 1,
        ONE_BYTE_END..TWO_BYTES_END => 2,
        raw => (raw.ilog2() as usize / 7).saturating_add(1),
    }
}

/// What fits into one byte, and into two: nearly all integers of a small record.
pub(super) const ONE_BYTE_END: u64 = 1 << 7;
pub(super) const TWO_BYTES_END: u64 = 1 << 14;

pub(super) const fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63).cast_unsigned()
}

const fn unzigzag(raw: u64) -> i64 {
    (raw >> 1).cast_signed() ^ (raw & 1).cast_signed().wrapping_neg()
}

/// A place in `bytes` from which integers are read. Nothing is read beyond the end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    #[inline]
    pub(crate) const fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    /// How many bytes lie before this place.
    #[inline]
    pub(crate) const fn at(&self) -> usize {
        self.at
    }

    /// How many bytes lie before its end.
    #[inline]
    pub(crate) const fn end(&self) -> usize {
        self.bytes.len()
    }

    /// How many bytes are left.
    #[inline]
    pub(crate) const fn left(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    /// A cursor over the next `len` bytes alone, in the same buffer; this one moves behind them.
    #[inline]
    pub(crate) fn fork(&mut self, len: usize) -> Option<Self> {
        let at = self.at;
        let end = at.checked_add(len)?;
        let bytes = self.bytes.get(..end)?;
        self.at = end;
        Some(Self { bytes, at })
    }

    #[inline]
    pub(crate) fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at = self.at.saturating_add(1);
        Some(byte)
    }

    /// The next `len` bytes.
    #[inline]
    pub(crate) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(len)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    /// None when the bytes end early, or hold more than 32 bits, or more than 5 bytes.
    #[inline]
    pub(crate) fn varint(&mut self) -> Option<i32> {
        let raw = self.raw(VARINT_LEN_MAX)?;
        let raw = u32::try_from(raw).ok()?;
        Some((raw >> 1).cast_signed() ^ (raw & 1).cast_signed().wrapping_neg())
    }

    /// None when the bytes end early, or hold more than 64 bits, or more than 10 bytes.
    #[inline]
    pub(crate) fn varlong(&mut self) -> Option<i64> {
        self.raw(VARLONG_LEN_MAX).map(unzigzag)
    }

    /// The integer as it lies; one and two bytes, which nearly all take, are read straight.
    #[inline]
    fn raw(&mut self, len_max: usize) -> Option<u64> {
        match *self.bytes.get(self.at..)? {
            [low @ ..0x80, ..] => {
                self.at = self.at.saturating_add(1);
                Some(u64::from(low))
            }
            [low, high @ ..0x80, ..] => {
                self.at = self.at.saturating_add(2);
                Some(u64::from(low & 0x7f) | u64::from(high) << 7)
            }
            _ => self.long(len_max),
        }
    }

    /// An integer of any length.
    #[cold]
    fn long(&mut self, len_max: usize) -> Option<u64> {
        let mut raw = 0;
        for shift in (0..70).step_by(7).take(len_max) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return None; // the tenth byte has room for one bit
            }
            raw |= bits << shift;
            if byte < 0x80 {
                return Some(raw);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::pen::Pen;
    use super::*;

    /// From the definition: what each number looks like at the borders of one more byte.
    const TABLE: &[(i64, &[u8])] = &[
        (0, &[0x00]),
        (-1, &[0x01]),
        (1, &[0x02]),
        (63, &[0x7e]),
        (-64, &[0x7f]),
        (64, &[0x80, 0x01]),
        (-65, &[0x81, 0x01]),
        (8_191, &[0xfe, 0x7f]),
        (-8_192, &[0xff, 0x7f]),
        (8_192, &[0x80, 0x80, 0x01]),
        (-8_193, &[0x81, 0x80, 0x01]),
        (1_048_575, &[0xfe, 0xff, 0x7f]),
        (-1_048_576, &[0xff, 0xff, 0x7f]),
        (1_048_576, &[0x80, 0x80, 0x80, 0x01]),
        (134_217_727, &[0xfe, 0xff, 0xff, 0x7f]),
        (134_217_728, &[0x80, 0x80, 0x80, 0x80, 0x01]),
        (i32::MAX as i64, &[0xfe, 0xff, 0xff, 0xff, 0x0f]),
        (i32::MIN as i64, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
        (i32::MAX as i64 + 1, &[0x80, 0x80, 0x80, 0x80, 0x10]),
        (17_179_869_183, &[0xfe, 0xff, 0xff, 0xff, 0x7f]),
        (17_179_869_184, &[0x80, 0x80, 0x80, 0x80, 0x80, 0x01]),
        (i64::MAX, &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
        (i64::MIN, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
    ];

    #[test]
    fn the_table_reads_and_writes_both_ways() {
        for &(value, bytes) in TABLE {
            let mut out = [0; VARLONG_LEN_MAX];
            let mut pen = Pen::new(&mut out);
            pen.varlong(value);
            let len = pen.at();
            assert_eq!(&out[..len], bytes, "{value}");
            assert_eq!(varlong_len(value), bytes.len(), "{value}");
            let mut cursor = Cursor::new(bytes, 0);
            assert_eq!((cursor.varlong(), cursor.left()), (Some(value), 0), "{value}");
            let narrow = i32::try_from(value).ok();
            assert_eq!(Cursor::new(bytes, 0).varint(), narrow, "{value}");
            assert!(narrow.is_none_or(|narrow| varint_len(narrow) == bytes.len()), "{value}");
        }
    }

    #[test]
    fn every_cut_of_an_integer_is_refused() {
        for &(value, bytes) in TABLE {
            for len in 0..bytes.len() {
                assert_eq!(Cursor::new(&bytes[..len], 0).varlong(), None, "{value} cut to {len}");
                assert_eq!(Cursor::new(&bytes[..len], 0).varint(), None, "{value} cut to {len}");
            }
        }
    }

    #[test]
    fn an_integer_that_is_too_long_or_too_large_is_refused() {
        let nine = [0xff; 9];
        assert_eq!(Cursor::new(&[&nine[..], &[0x02]].concat(), 0).varlong(), None, "65 bits");
        assert_eq!(Cursor::new(&[&nine[..], &[0x81, 0x00]].concat(), 0).varlong(), None, "11 bytes");
        assert_eq!(Cursor::new(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x00], 0).varint(), None, "6 bytes");
        assert_eq!(Cursor::new(&[0xff, 0xff, 0xff, 0xff, 0x1f], 0).varint(), None, "33 bits");
        // Longer than need be, within the bounds: Kafka's own reader takes it, and so do we.
        assert_eq!(Cursor::new(&[0x80, 0x00], 0).varint(), Some(0));
    }
}
