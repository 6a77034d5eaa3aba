//! T2: crashes while recovery runs.
