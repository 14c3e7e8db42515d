// Rust's std: 2,000 threads wait for a Mutex, a Condvar, a channel, park() and a Barrier; a line on stdin lets them go. Every wake-up is counted.
use std::io::BufRead;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{mpsc, Arc, Barrier, Condvar, Mutex, RwLock};
use std::thread;
use std::time::{Duration, Instant};

const EACH: usize = 400;

fn main() {
    let arrived = Arc::new(AtomicUsize::new(0));
    let sum = Arc::new(AtomicUsize::new(0));
    let mutex = Arc::new(Mutex::new(0usize));
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let barrier = Arc::new(Barrier::new(EACH + 1));
    let go = Arc::new(AtomicUsize::new(0));
    let (mut threads, mut senders) = (Vec::new(), Vec::new());
    let held = mutex.lock().unwrap();
    for i in 0..EACH {
        let (a, s, m) = (arrived.clone(), sum.clone(), mutex.clone());
        threads.push(thread::spawn(move || {
            a.fetch_add(1, Ordering::SeqCst);
            *m.lock().unwrap() += 1;
            s.fetch_add(i, Ordering::SeqCst);
        }));
        let (a, s, g) = (arrived.clone(), sum.clone(), gate.clone());
        threads.push(thread::spawn(move || {
            a.fetch_add(1, Ordering::SeqCst);
            let mut open = g.0.lock().unwrap();
            while !*open {
                open = g.1.wait_timeout(open, Duration::from_secs(100)).unwrap().0;
            }
            s.fetch_add(i, Ordering::SeqCst);
        }));
        let (sender, receiver) = mpsc::channel();
        senders.push(sender);
        let (a, s) = (arrived.clone(), sum.clone());
        threads.push(thread::spawn(move || {
            a.fetch_add(1, Ordering::SeqCst);
            s.fetch_add(receiver.recv().unwrap(), Ordering::SeqCst);
        }));
        let (a, s, g) = (arrived.clone(), sum.clone(), go.clone());
        threads.push(thread::spawn(move || {
            a.fetch_add(1, Ordering::SeqCst);
            while g.load(Ordering::SeqCst) == 0 {
                thread::park();
            }
            s.fetch_add(i, Ordering::SeqCst);
        }));
        let (a, s, b) = (arrived.clone(), sum.clone(), barrier.clone());
        threads.push(thread::spawn(move || {
            a.fetch_add(1, Ordering::SeqCst);
            b.wait();
            s.fetch_add(i, Ordering::SeqCst);
        }));
    }
    while arrived.load(Ordering::SeqCst) < 5 * EACH {
        thread::sleep(Duration::from_millis(1));
    }
    println!("waiting");
    std::io::stdin().lock().read_line(&mut String::new()).unwrap();
    drop(held);
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
    for (i, s) in senders.iter().enumerate() {
        s.send(i).unwrap();
    }
    go.store(1, Ordering::SeqCst);
    for t in &threads {
        t.thread().unpark();
    }
    barrier.wait();
    for t in threads {
        t.join().unwrap();
    }
    // Scoped threads, a lock of readers and writers, time-outs.
    let (shared, mut local) = (RwLock::new(0usize), 0usize);
    thread::scope(|scope| {
        for i in 0..20 {
            let shared = &shared;
            scope.spawn(move || for _ in 0..200 {
                if i % 4 == 0 { *shared.write().unwrap() += 1 } else { let _ = *shared.read().unwrap(); }
            });
        }
        scope.spawn(|| local = 7);
    });
    let (_kept, nothing) = mpsc::channel::<()>();
    let begun = Instant::now();
    assert!(nothing.recv_timeout(Duration::from_millis(20)).is_err());
    thread::park_timeout(Duration::from_millis(20));
    assert!(begun.elapsed() >= Duration::from_millis(20));
    assert_eq!((local, *shared.read().unwrap(), *mutex.lock().unwrap()), (7, 1000, EACH));
    println!("{}", sum.load(Ordering::SeqCst));
}
