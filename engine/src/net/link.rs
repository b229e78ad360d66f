//! The `Link` header (RFC 8288), as far as paging needs it.

use url::Url;

use super::Answer;

impl Answer {
    /// The target of the first link with this relation, resolved against the answer's own URL.
    pub fn link(&self, rel: &str) -> Option<Url> {
        let values = self.headers.get_all(http::header::LINK).iter().filter_map(|value| value.to_str().ok());
        let target = values.flat_map(links).find(|link| link.has(rel))?.target;
        self.url.join(target).ok()
    }
}

struct Link<'a> {
    target: &'a str,
    params: &'a str,
}

impl Link<'_> {
    /// Whether one of the relations in `rel` (quoted or not, separated by spaces) is `wanted`.
    fn has(&self, wanted: &str) -> bool {
        let rel = split(self.params, ';')
            .filter_map(|param| param.split_once('='))
            .find_map(|(name, value)| name.trim().eq_ignore_ascii_case("rel").then(|| value.trim().trim_matches('"')));
        rel.is_some_and(|rel| rel.split_ascii_whitespace().any(|one| one.eq_ignore_ascii_case(wanted)))
    }
}

fn links(value: &str) -> impl Iterator<Item = Link<'_>> {
    split(value, ',').filter_map(|link| {
        let (target, params) = link.trim().strip_prefix('<')?.split_once('>')?;
        Some(Link { target, params })
    })
}

/// Splits at `mark`, but neither inside of `<…>` nor of `"…"`.
fn split(text: &str, mark: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut angled) = (false, false);
    text.split(move |c| {
        match c {
            '"' if !angled => quoted = !quoted,
            '<' if !quoted => angled = true,
            '>' if !quoted => angled = false,
            _ => {}
        }
        c == mark && !quoted && !angled
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_in_every_way_to_write_it() {
        let check = |values: &[&str], want: Option<&str>| {
            let mut headers = http::HeaderMap::new();
            for value in values {
                headers.append("link", value.parse().unwrap());
            }
            let url = Url::parse("https://a.example/v1/items?page=1").unwrap();
            let answer = Answer { status: http::StatusCode::OK, headers, body: bytes::Bytes::new(), url };
            assert_eq!(answer.link("next").as_ref().map(Url::as_str), want, "{values:?}");
        };
        let next = Some("https://a.example/v1/items?page=2");
        check(&["<https://a.example/v1/items?page=2>; rel=\"next\""], next);
        check(&["<?page=9>; rel=\"last\", <?page=2>; rel=\"next\""], next);
        check(&["<?page=9>; rel=last", "</v1/items?page=2>;title=\"a, b; rel=prev\";REL=next"], next);
        check(&["<?page=2>; rel=\"last next\""], next);
        check(&["<?page=2,3;4>; rel=next"], Some("https://a.example/v1/items?page=2,3;4"));
        check(&["<?page=2>; rel=\"previous\""], None);
        check(&["garbage", "<", "<>", "<a; rel=next"], None);
        check(&[], None);
    }
}
