//! What a feed that lists things must do with what its server lists.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::bench::{Bench, Checked, thing, things};
use crate::cases::Thing;
use engine::fault::Fault;

/// Two fetches give no key twice; what is new comes once.
pub async fn recognises(mut bench: Bench) -> Checked {
    let first = bench.expect("baseline", &things(1..=3), 3).await?;
    if bench.source.cursor.is_none() {
        return Err("the baseline gives no cursor".into());
    }
    if first.items.iter().any(|item| item.key.is_empty() || !item.body.is_object()) {
        return Err(format!("an item without a key, or whose event is no object: {:?}", first.items));
    }
    let again = bench.expect("the same again", &things(1..=3), 0).await?;
    if !again.items.is_empty() {
        return Err(format!("the same again: the cursor alone does not know {:?}", again.items));
    }
    let new = bench.expect("one more", &things(1..=4), 1).await?;
    if new.items.len() != 1 {
        return Err(format!("one more: {} items came", new.items.len()));
    }
    bench.expect("two more", &things(1..=6), 2).await?;
    bench.expect("nothing more", &things(1..=6), 0).await.map(drop)
}

/// Vanished, late, reordered, equal-time items; an empty answer keeps the cursor.
pub async fn endures_disorder(mut bench: Bench) -> Checked {
    bench.expect("baseline", &things([1, 2, 5]), 3).await?;
    bench.expect("vanished", &things([1, 5]), 0).await?;
    bench.expect("back again", &things([1, 2, 5]), 0).await?;
    bench.expect("late, and older than others", &things([1, 2, 3, 5]), 1).await?;
    bench.expect("reordered", &things([5, 3, 1, 2]), 0).await?;
    let mut twins = things([1, 2, 3, 5]);
    twins.extend([thing(8, 600), thing(9, 600)]);
    bench.expect("two of the same time", &twins, 2).await?;
    let mut third = twins.clone();
    third.push(thing(10, 600));
    bench.expect("a third of that time, a poll later", &third, 1).await?;
    bench.server.reply((bench.serve)(&[third.clone(), vec![thing(11, 660), thing(11, 660)]].concat()));
    match bench.source.poll().await {
        Ok(polled) if polled.new.len() == 1 => {}
        // An answer that contradicts itself may be refused, as long as that loses nothing.
        Err(Fault::Later { .. }) => {
            let once = [third.clone(), vec![thing(11, 660)]].concat();
            bench.expect("what came twice, once", &once, 1).await?;
        }
        other => return Err(format!("a thing twice in one answer: {other:?}")),
    }
    bench.expect("an empty answer", &[], 0).await?;
    third.extend([thing(11, 660), thing(12, 720)]);
    let after = bench.expect("after the empty answer", &third, 1).await?;
    match after.items.len() {
        1 => Ok(()),
        n => Err(format!("after the empty answer the cursor no longer knows what it knew: {n} items came")),
    }
}

/// A source that was empty at its baseline fires for its first item.
pub async fn starts_from_nothing(mut bench: Bench) -> Checked {
    bench.expect("an empty baseline", &[], 0).await?;
    if bench.source.cursor.is_none() {
        return Err("an empty baseline gives no cursor: its first item would be taken for old".into());
    }
    bench.expect("the first", &things([1]), 1).await.map(drop)
}

/// U+0000, broken UTF-8 and long text are items like others.
pub async fn takes_strange_text(mut bench: Bench) -> Checked {
    bench.expect("baseline", &things([1]), 1).await?;
    let strange = ["a\u{0}b", "a\u{e000}b", "\u{202e}<b>&amp;\"'\\", "日本🦀"];
    let mut all = things([1]);
    for (i, text) in (2..).zip(strange) {
        all.push(Thing { id: i, at: i64::from(i), text: text.to_owned() });
    }
    let polled = bench.expect("strange text", &all, strange.len()).await?;
    let body = |item: &engine::port::Item| serde_json::to_string(&item.body).is_ok_and(|text| text.len() > 2);
    if !polled.new.iter().all(body) {
        return Err("strange text: an event is lost".into());
    }
    bench.expect("strange text again", &all, 0).await.map(drop)
}

/// Where nobody uses what is large, all of it is left out and nothing else; who finds nothing does not ask.
pub async fn leaves_out_what_is_large(mut whole: Bench, mut spared: Bench, large: &[&str]) -> Checked {
    spared.source.spared = Some(AtomicUsize::new(0));
    for bench in [&mut whole, &mut spared] {
        bench.expect("baseline", &things(1..=3), 3).await?;
    }
    let asked = |bench: &Bench| bench.source.spared.as_ref().map(|asked| asked.load(Ordering::Relaxed));
    let before = asked(&spared);
    spared.expect("nothing new", &things(1..=3), 0).await?;
    if asked(&spared) != before {
        return Err("nothing new: it asked what is used all the same".into());
    }
    whole.source.now = spared.source.now;
    let whole = whole.expect("two more", &things(1..=5), 2).await?.new;
    let spared = spared.expect("two more, spared", &things(1..=5), 2).await?.new;
    for (mut whole, spared) in whole.into_iter().zip(spared) {
        let missing: Vec<_> = large.iter().filter(|name| whole.body.get(**name).is_none()).collect();
        if !missing.is_empty() {
            return Err(format!("two more: {missing:?} are large and never there"));
        }
        whole.body.as_object_mut().into_iter().for_each(|body| body.retain(|name, _| !large.contains(&name.as_str())));
        if whole.body != spared.body {
            return Err(format!("two more, spared: {} instead of {}", spared.body, whole.body));
        }
    }
    Ok(())
}
