#![no_main]

annals_fuzz::target!(annals::oracle::segment_header);
