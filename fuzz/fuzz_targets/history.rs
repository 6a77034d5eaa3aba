#![no_main]

annals_fuzz::target!(annals::oracle::history);
