#![no_main]

annals_fuzz::target!(annals::oracle::index_of_batches);
