//! A producer, and a group of three that shares the work. One of them dies in the middle, the others go on; after a
//! restart a fourth resumes where the group left off.
//!
//!     cargo run --release --example group

use annals::{Broker, Consumer, Rebalance, Record, Result, TopicOptions};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

const ORDERS: u64 = 30_000;
/// How often each order was billed.
type Bills = Arc<Mutex<BTreeMap<u64, u32>>>;

fn main() -> Result<()> {
    let directory = std::env::temp_dir().join(format!("annals-group-{}", std::process::id()));
    let broker = Broker::open(&directory)?;
    let orders = broker.ensure_topic("orders", TopicOptions::new().partitions(6))?;
    let producer = broker.producer().build()?;
    let shop = thread::spawn(move || {
        for number in 0..ORDERS {
            let customer = format!("customer {}", number % 1_000);
            producer.send(&orders, Record::new(&number.to_string()).key(&customer))?;
        }
        producer.close()
    });

    let bills = Bills::default();
    let workers: Vec<_> = ["anna", "ben", "carla"]
        .map(|name| {
            let member = broker
                .consumer()
                .group("billing")
                .subscribe(["orders"])
                .client_id(name)
                .on_rebalance(move |event| report(name, &event))
                .build();
            let bills = bills.clone();
            thread::spawn(move || work(name, member?, &bills))
        })
        .into();
    for worker in workers {
        // Ben's thread panics: his consumer leaves the group with it, and the others have his partitions.
        worker.join().unwrap_or(Ok(()))?;
    }
    shop.join().expect("the shop does not panic")?;
    broker.close()?;

    // Another process, another day: what is committed is not billed again.
    let broker = Broker::open(&directory)?;
    broker.topic("orders")?.partition(3)?.append([Record::new("30000")]).wait()?;
    let mut dora = broker.consumer().group("billing").subscribe(["orders"]).build()?;
    let records = dora.poll(Duration::from_secs(1))?;
    println!("dora finds {} order that nobody has billed", records.len());
    assert_eq!(records.iter().map(|record| record.value()).collect::<Vec<_>>(), [b"30000"]);
    dora.close()?;
    broker.close()?;

    let bills = bills.lock().expect("whoever panicked did not hold it");
    let again = bills.values().filter(|times| **times > 1).count();
    println!(
        "{} orders were billed, {again} of them twice, because ben died between his work and his commit",
        bills.len()
    );
    assert_eq!(bills.len() as u64, ORDERS);
    drop(std::fs::remove_dir_all(directory));
    Ok(())
}

/// Bills orders until none come for a while.
fn work(name: &str, mut member: Consumer, bills: &Bills) -> Result<()> {
    let mut billed = 0;
    loop {
        let records = member.poll(Duration::from_secs(1))?;
        if records.is_empty() {
            println!("{name} has billed {billed} orders, and goes home");
            return member.close();
        }
        for record in &records {
            let order = std::str::from_utf8(record.value()).ok().and_then(|text| text.parse().ok());
            *bills
                .lock()
                .expect("nobody panics with it")
                .entry(order.expect("the shop writes numbers"))
                .or_default() += 1;
            billed += 1;
        }
        assert!(name != "ben" || billed < 3_000, "ben dies");
        member.commit().wait()?;
    }
}

fn report(name: &str, event: &Rebalance<'_>) {
    match event {
        Rebalance::Assigned(assigned) => println!("{name} gets {}", list(assigned.partitions())),
        Rebalance::Revoked(revoked) => println!("{name} gives up {}", list(revoked.partitions())),
        Rebalance::Lost(partitions) => println!("{name} has lost {}", list(partitions)),
        _ => {}
    }
}

fn list(partitions: &[annals::TopicPartition]) -> String {
    partitions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
