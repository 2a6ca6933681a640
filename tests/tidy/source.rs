//! A source file as the rules see it: code without comments and literals, and without tests.

/// A file under `src/`.
pub(crate) struct Source {
    /// Its path below `src/`, with `/`.
    pub(crate) path: String,
    /// Whether all of it is tests.
    pub(crate) is_test: bool,
    /// As it is on disk.
    pub(crate) text: String,
    /// The same lines with the insides of comments, strings and characters blanked.
    pub(crate) code: String,
    /// `code` with tests blanked too.
    pub(crate) shipped: String,
}

impl Source {
    /// Takes `text` apart.
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let code = code_of(text);
        let is_test = path.ends_with("/tests.rs") || path.contains("/tests/");
        let shipped = if is_test { blank(&code) } else { without_tests(&code) };
        Self { path: path.to_owned(), is_test, text: text.to_owned(), code, shipped }
    }

    /// The module of the crate that it belongs to: `tick` for `tick.rs`, `store` for `store/batch.rs`.
    pub(crate) fn module(&self) -> &str {
        self.path.split('/').next().unwrap_or_default().trim_end_matches(".rs")
    }
}

/// The line number of byte `at`.
pub(crate) fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// The byte after the bracket that closes the one at `open`; the end of the text if none does.
pub(crate) fn closing(code: &str, open: usize) -> usize {
    let (opening, closing) = match code.as_bytes()[open] {
        b'{' => (b'{', b'}'),
        b'[' => (b'[', b']'),
        _ => (b'(', b')'),
    };
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        if byte == opening {
            depth += 1;
        } else if byte == closing {
            depth -= 1;
            if depth == 0 {
                return at + 1;
            }
        }
    }
    code.len()
}

/// Every identifier of `code` with its place.
pub(crate) fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut at = 0;
    code.split(move |c: char| !is_word(c)).filter_map(move |word| {
        let here = at + code[at..].find(word)?;
        at = here + word.len();
        (!word.is_empty()).then_some((here, word))
    })
}

fn blank(text: &str) -> String {
    text.chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect()
}

fn code_of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let before = text[..text.len() - rest.len()].chars().next_back().unwrap_or(' ');
        let in_word = before.is_alphanumeric() || before == '_';
        let length = literal_length(rest, in_word);
        let (taken, left) = rest.split_at(length.unwrap_or(first.len_utf8()));
        code.push_str(&length.map_or_else(|| taken.to_owned(), |_| blank(taken)));
        rest = left;
    }
    code
}

/// How many bytes of `rest` the comment or literal at its start takes, if there is one.
fn literal_length(rest: &str, in_word: bool) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(rest.find("*/").map_or(rest.len(), |end| end + 2));
    }
    if let Some(raw) = rest.strip_prefix('r').filter(|_| !in_word || rest.starts_with("br")) {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let body = hashes + 1;
            return Some(raw[body..].find(&end).map_or(rest.len(), |at| 1 + body + at + end.len()));
        }
    }
    if rest.starts_with('"') {
        return Some(quoted_length(rest, '"'));
    }
    // A lifetime has no second quote where a character's would be.
    let mut after = rest.strip_prefix('\'')?.chars();
    let is_character = match after.next()? {
        '\\' => true,
        _ => after.next() == Some('\''),
    };
    is_character.then(|| quoted_length(rest, '\''))
}

fn quoted_length(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut shipped = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find(MARK) {
        shipped.push_str(&rest[..at]);
        let item = &rest[at..];
        let end = item.find(['{', ';']).map_or(item.len(), |stop| {
            if item[stop..].starts_with(';') { stop + 1 } else { closing(item, stop) }
        });
        shipped.push_str(&blank(&item[..end]));
        rest = &item[end..];
    }
    shipped.push_str(rest);
    shipped
}
