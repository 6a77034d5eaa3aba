//! T4: the k-th sync fails.
