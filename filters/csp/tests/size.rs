//! How fast pages pass, and in how much memory.

#![allow(
    unsafe_code,
    reason = "an allocator is unsafe; this one leaves it to the system's"
)]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "what fails here fails the test; the lints spare only functions marked as tests"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::Write as _;
use std::time::Instant;

use csp::html::{Coding, Nonce, Page, Placeholder, Plan};
use csp::policy::Algorithm;
use flate2::Compression;
use flate2::write::GzEncoder;

/// Counts what a thread holds, and the most it did.
struct Counting;

thread_local! {
    static HELD: Cell<(isize, isize)> = const { Cell::new((0, 0)) };
}

fn count(change: isize) {
    // A thread that ends frees what it has no count for any more.
    let _ = HELD.try_with(|held| {
        let (now, most) = held.get();
        let now = now + change;
        held.set((now, most.max(now)));
    });
}

#[expect(
    unsafe_code,
    reason = "an allocator is unsafe; this one leaves it to the system's"
)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        // SAFETY: as asked of this function.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(-layout.size().cast_signed());
        // SAFETY: as asked of this function.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most that is held at once while this is done, in bytes.
fn most_held(work: impl FnOnce()) -> isize {
    let (before, _) = HELD.get();
    HELD.set((before, before));
    work();
    HELD.get().1 - before
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// One part of a page, unlike the others.
fn block(index: u64) -> String {
    let [one, two, three] =
        [1, 2, 3].map(|salt| (index + salt).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    format!(
        "<div class=\"card wide\" id=a{index}><h2>Of {one:x} &amp; others</h2><p>Some text of {two:x} that goes \
         on for a while, as texts do, with <a href=\"/{three:x}?x=1&amp;y=2\" title='A title'>a link</a> or \
         two.</p><img src=\"/images/{one}.png\" alt=\"\" loading=lazy><ul><li>One<li>Two</ul>\n\
         <script data-x>window.things = window.things || []; things.push({{ id: {two} }});</script></div>\n"
    )
}

/// A page of so many bytes.
fn page(length: usize) -> Vec<u8> {
    let mut page = Vec::with_capacity(length + 1024);
    let mut index = 0;
    while page.len() < length {
        page.extend_from_slice(block(index).as_bytes());
        index += 1;
    }
    page.truncate(length);
    page
}

/// Passes a page in chunks of 16 KiB, and says how much is held at most beside what comes out
/// of one.
fn stream(plan: &Plan, coding: Coding, body: &[u8]) -> isize {
    let nonce = Nonce::new("MTIzNDU2Nzg5MDEyMzQ1Ng==").unwrap();
    most_held(|| {
        let mut page = Page::new(plan, Some(&nonce), coding, Some("utf-8"));
        let mut out = Vec::new();
        for chunk in body.chunks(16 * 1024) {
            out.clear();
            page.push(chunk, &mut out).unwrap();
        }
        page.finish(&mut out).unwrap();
    })
}

fn all_plans() -> [(&'static str, Plan); 3] {
    let placeholder = || Placeholder::new("{{NONCE}}").ok();
    let elements = || vec!["script[data-x]".parse().unwrap()];
    [
        ("placeholder", Plan::new(placeholder(), Vec::new(), None)),
        ("elements", Plan::new(None, elements(), None)),
        (
            "all",
            Plan::new(placeholder(), elements(), Some(Algorithm::Sha256)),
        ),
    ]
}

#[test]
fn a_page_takes_no_more_memory_for_being_long() {
    for (name, plan) in all_plans() {
        let short = stream(&plan, Coding::Identity, &page(200_000));
        let long = stream(&plan, Coding::Identity, &page(2_000_000));
        // Tags are cut where they happen to be.
        assert!(long < short + 32 * 1024, "{name}: {short}, then {long}");
        assert!(long < 400_000, "{name}: {long}");
    }
}

#[test]
fn no_page_takes_more_memory_than_a_bound() {
    let mut plans = all_plans().to_vec();
    plans.push((
        "attributes",
        Plan::new(None, vec!["[data-x]".parse().unwrap()], None),
    ));
    for (name, plan) in plans {
        for (what, page) in [
            ("open elements", b"<b>".repeat(1_000_000)),
            (
                "a long tag",
                [b"<script data-x=".to_vec(), vec![b'a'; 3_000_000]].concat(),
            ),
            (
                "many attributes",
                [b"<script".to_vec(), b" a".repeat(1_500_000)].concat(),
            ),
            (
                "just so many attributes",
                [b"<script".to_vec(), b" a".repeat(32_000), b">".to_vec()].concat(),
            ),
            (
                "four times as many",
                [b"<script".to_vec(), b" a".repeat(128_000), b">".to_vec()].concat(),
            ),
            (
                "a long comment",
                [b"<!--".to_vec(), vec![b'-'; 3_000_000]].concat(),
            ),
            (
                "a long script",
                [b"<script>".to_vec(), vec![b'<'; 3_000_000]].concat(),
            ),
            (
                "a long name",
                [b"<".to_vec(), vec![b'a'; 3_000_000]].concat(),
            ),
            ("svg", b"<svg>".repeat(600_000)),
            (
                "many URLs",
                b"<img srcset='a,b c'><p onclick=f()>".repeat(60_000),
            ),
        ] {
            let most = stream(&plan, Coding::Identity, &page);
            println!("{name}, {what}: {} KiB", most / 1024);
            assert!(most < 32 << 20, "{name}, {what}: {most}");
        }
    }
}

/// What `cargo test --release -p csp --test size -- --ignored --nocapture` prints.
mod soak {
    use super::*;

    #[test]
    #[ignore = "takes a while, and means something in a release build only"]
    fn a_page_of_50_mib_passes() {
        let page = page(50 << 20);
        let compressed = gzip(&page);
        for (name, plan) in all_plans() {
            for (coding, body) in [(Coding::Identity, &page), (Coding::Gzip, &compressed)] {
                let begun = Instant::now();
                let most = stream(&plan, coding, body);
                let speed = 50.0 / begun.elapsed().as_secs_f64();
                println!(
                    "{name}, {coding:?}: {speed:.0} MiB/s, at most {} KiB",
                    most / 1024
                );
                assert!(most < 4 << 20, "{name}: {most}");
            }
        }
    }

    /// Pages made to take long.
    #[test]
    #[ignore = "takes a while, and means something in a release build only"]
    fn pages_made_to_be_slow_pass() {
        for (name, plan) in all_plans() {
            for (what, begin, again) in [
                (
                    "end tags among open ones",
                    &b"<b>".repeat(2000)[..],
                    &b"</x>"[..],
                ),
                ("tags", b"", b"<b></b>"),
                ("selected tags", b"", b"<script data-x></script>"),
                ("refused tags", b"", b"<script data-x data-x></script>"),
                (
                    "attributes",
                    b"",
                    b"<script data-x a b c d e f g h i j k l m n o p q r s t></script>",
                ),
                ("text like ends", b"<script>", b"</scrip"),
                ("placeholders, nearly", b"", b"{{NONC"),
                ("comments", b"", b"<!---->"),
            ] {
                let page = [begin, &again.repeat((8 << 20) / again.len())].concat();
                let begun = Instant::now();
                stream(&plan, Coding::Identity, &page);
                println!(
                    "{name}, {what}: {:.1} MiB/s",
                    8.0 / begun.elapsed().as_secs_f64()
                );
            }
        }
    }
}
