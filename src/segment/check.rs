//! The mix that proves that bytes belong where they are found.

/// Mixes a segment's salt with a position in it and a length. Never zero, so that blank space proves nothing.
pub(crate) fn check(salt: u64, position: u32, length: u32) -> u32 {
    let mut mixed = salt ^ (u64::from(position) << 32 | u64::from(length));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let [a, b, c, d, ..] = (mixed ^ (mixed >> 31)).to_le_bytes();
    u32::from_le_bytes([a, b, c, d]).max(1)
}
