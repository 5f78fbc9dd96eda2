//! Inputs that are nearly valid: a valid one, changed a little, by a generator that is told its seed.

use serde_json::{Map, Value, json};

/// SplitMix64 (Steele, Lea, Flood 2014): small, and the same on every machine.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `end`, which is not 0. Its slight lean towards the small ones harms nobody here.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).expect("below a usize")
    }

    pub fn one_in(&mut self, of: usize) -> bool {
        self.below(of) == 0
    }

    pub fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }
}

/// Pieces that mean something to one of the readers, or to what stands behind it.
const PIECES: &[&str] = &[
    "\"",
    "\\",
    "'",
    ",",
    ":",
    "{",
    "}",
    "[",
    "]",
    "=",
    "%",
    " ",
    "\t",
    "\n",
    "\r",
    "\0",
    "\u{1}",
    "\u{7f}",
    "é",
    "語",
    "🐘",
    "\u{202e}",
    "\u{feff}",
    "\u{ad}",
    "\\u0000",
    "\\u0061",
    "\\ud800",
    "\\udc00\\ud800",
    "null",
    "true",
    "-0",
    "1e999",
    "0x1",
    "1.50",
    "65535",
    "65536",
    "18446744073709551616",
    "=3D",
    "=zz",
    "=C3=28",
    "_clone",
    "rds_",
    "pg_",
    "postgres",
    "masterarn",
    "password",
    "username",
    "host",
    "Step",
    "[[[[[[[[",
    "$user",
    "\"\"",
    "pgrotate:",
    " pgrotate:address=",
];

/// A name, a password, or any other text: short, and often odd.
pub fn text(random: &mut Random) -> String {
    let mut text = String::new();
    for _ in 0..random.below(6) {
        if random.one_in(2) {
            text.push_str(random.pick(PIECES));
        } else {
            let letter = char::from(b'a' + u8::try_from(random.below(26)).expect("a letter"));
            text.extend(std::iter::repeat_n(letter, 1 + random.below(8)));
        }
    }
    text
}

/// The text, changed in one to four places; one time in eight not at all.
pub fn text_of(random: &mut Random, valid: &str) -> String {
    let mut text = valid.to_owned();
    if random.one_in(8) {
        return text;
    }
    for _ in 0..=random.below(4) {
        let mut places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        places.push(text.len());
        let at = random.below(places.len());
        let from = places[at];
        // So many characters on, or as many as there are.
        let end = |characters: usize| places[(at + characters).min(places.len() - 1)];
        match random.below(6) {
            0 => text.insert_str(from, random.pick(PIECES)),
            1 => text.truncate(from),
            2 => text.replace_range(from..end(1 + random.below(8)), ""),
            3 => {
                let copy = text[from..end(1 + random.below(16))].to_owned();
                text.insert_str(from, &copy);
            }
            4 => text.replace_range(from..end(1), random.pick(PIECES)),
            _ => text.insert_str(from, &self::text(random)),
        }
    }
    text
}

/// A value that is none of those expected.
fn odd(random: &mut Random) -> Value {
    match random.below(10) {
        0 => Value::Null,
        1 => json!(random.one_in(2)),
        2 => json!(random.next()),
        3 => json!(-1),
        4 => json!(5432.5),
        5 => json!([]),
        6 => json!([text(random), {}]),
        7 => json!({ text(random): text(random) }),
        8 => (0..random.below(140)).fold(json!(1), |inner, _| json!([inner])),
        _ => json!(text(random)),
    }
}

/// The document, changed in one or two places: a value, a key, or what stands there.
pub fn json_of(random: &mut Random, valid: &Value) -> Value {
    let mut changed = valid.clone();
    for _ in 0..=random.below(2) {
        change(random, &mut changed);
    }
    changed
}

fn change(random: &mut Random, value: &mut Value) {
    match value {
        Value::Object(members) if !members.is_empty() && !random.one_in(12) => {
            let key = members.keys().nth(random.below(members.len())).expect("a key").clone();
            match random.below(8) {
                0 => _ = members.shift_remove(&key),
                1 => _ = members.insert(text(random), odd(random)),
                2 => {
                    let old = members.shift_remove(&key).unwrap_or_default();
                    members.insert(text_of(random, &key), old);
                }
                3 => shuffle(random, members),
                4 => _ = members.insert(key, odd(random)),
                _ => change(random, &mut members[&key]),
            }
        }
        Value::Array(items) if !items.is_empty() && !random.one_in(6) => {
            let at = random.below(items.len());
            match random.below(4) {
                0 => _ = items.remove(at),
                1 => items.push(odd(random)),
                _ => change(random, &mut items[at]),
            }
        }
        Value::String(old) if !random.one_in(4) => *old = text_of(random, old),
        Value::Number(number) if !random.one_in(4) => {
            let number = number.as_i64().unwrap_or_default();
            *value = json!(number + [-1, 1, 60_104, 1 << 32][random.below(4)]);
        }
        other => *other = odd(random),
    }
}

fn shuffle(random: &mut Random, members: &mut Map<String, Value>) {
    let mut all: Vec<_> = std::mem::take(members).into_iter().collect();
    for end in (1..all.len()).rev() {
        all.swap(end, random.below(end + 1));
    }
    members.extend(all);
}
