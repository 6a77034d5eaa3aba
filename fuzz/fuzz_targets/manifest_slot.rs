#![no_main]

annals_fuzz::target!(annals::oracle::manifest_slot);
