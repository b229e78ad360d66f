//! The settings by example, and `config/area.toml` held together with the structs.

use super::*;

fn with(file: Option<&str>, env: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Settings, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("area.toml");
    std::fs::write(&path, file.unwrap_or_default()).unwrap();
    let own = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    let sources = Sources { file: Some(path), env: own(env), flags: own(flags) };
    load(&sources).map_err(|e| e.0.replace(&folder.path().display().to_string(), "DIR"))
}

/// `config/area.toml` with every key set: a line `#key = …` is a default, a line `# text` is prose.
fn uncommented() -> String {
    let set = |line: &str| match line.strip_prefix('#') {
        Some(key) if !key.starts_with([' ', '#']) => key.to_owned(),
        _ => line.to_owned(),
    };
    FILE.lines().map(set).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_file_of_the_repository_uncommented_is_exactly_the_defaults() {
    assert_eq!(with(Some(&uncommented()), &[], &[]), with(None, &[], &[]));
    assert_eq!(with(Some(FILE), &[], &[]), with(None, &[], &[]));
}

#[test]
fn every_key_stands_in_the_file_of_the_repository_with_a_reason_above_it() {
    let text = uncommented();
    let lines: Vec<&str> = text.lines().collect();
    for (key, _) in names::all() {
        let (section, name) = key.rsplit_once('.').unwrap_or(("", &key));
        let start = if section.is_empty() { Some(0) } else { lines.iter().position(|l| *l == format!("[{section}]")) };
        let start = start.unwrap_or_else(|| panic!("config/area.toml has no [{section}]"));
        let inside = lines[start..].iter().skip(1).take_while(|l| !l.starts_with('['));
        let at = inside.enumerate().find(|(_, l)| l.starts_with(&format!("{name} = "))).map(|(i, _)| start + 1 + i);
        let at = at.unwrap_or_else(|| panic!("config/area.toml has no {key}"));
        assert!(lines[at - 1].starts_with("# "), "config/area.toml does not say why {key} is what it is");
    }
}

#[test]
fn every_key_of_a_provider_stands_in_its_file_with_a_reason_above_it() {
    let lines: Vec<&str> = PROVIDERS.lines().collect();
    for key in names::of_provider() {
        let at = lines.iter().position(|l| l.starts_with(&format!("#{key} = ")));
        let at = at.unwrap_or_else(|| panic!("config/providers.toml does not explain {key}"));
        assert!(lines[at - 1].starts_with("# "), "config/providers.toml does not say why {key} is what it is");
    }
    let explained = lines.iter().filter(|l| l.starts_with('#') && !l.starts_with("# ") && l.contains(" = "));
    for line in explained {
        let key = line[1..].split(' ').next().unwrap();
        assert!(names::of_provider().iter().any(|known| known == key), "there is no key {key}");
    }
}

#[test]
fn a_provider_is_built_in_overridden_by_key_and_added_by_a_table() {
    let file = "[providers.google]\nrotates = true\n[providers.acme]\nauthorize_url = \"https://a.example/a\"\n\
        token_url = \"https://a.example/t\"\nparams = { x = \"y\" }\n";
    let env = [
        ("AREA_PROVIDERS__GOOGLE__TOKEN_URL", "http://127.0.0.1:4003/oauth2/token"),
        ("AREA_PROVIDERS__GOOGLE__APIS__GMAIL", "http://127.0.0.1:4003/gmail"),
        ("AREA_PROVIDERS__GOOGLE__SCOPES", "openid email"),
        ("AREA_PROVIDERS__GOOGLE__CLIENT_ID", "me"),
        ("AREA_PROVIDERS__GOOGLE__CLIENT_SECRET", "hunter2"),
    ];
    let s = with(Some(file), &env, &[]).unwrap();
    let all = s.providers().unwrap();
    let google = all.iter().find(|p| p.name == "google").unwrap();
    let (oauth, client) = google.client().unwrap();
    assert_eq!(oauth.token_url.as_str(), "http://127.0.0.1:4003/oauth2/token");
    assert_eq!((google.apis["gmail"].as_str(), google.apis.len() > 3), ("http://127.0.0.1:4003/gmail", true));
    assert_eq!((oauth.scopes.join(" "), oauth.habits.rotates), ("openid email".to_owned(), true));
    assert_eq!((client.id.as_str(), client.secret.as_ref().unwrap().expose()), ("me", "hunter2"));
    assert_eq!(all.iter().find(|p| p.name == "acme").unwrap().oauth.as_ref().unwrap().params["x"], "y");
    assert!(all.iter().filter(|p| p.client().is_some()).count() == 1 && all.len() >= 11);
    assert!(!format!("{s:?} {:?}", in_effect(&s)).contains("hunter2"));
}

#[test]
fn a_clients_secret_comes_from_a_file_too_and_a_wrong_provider_is_told_by_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "hunter2\n").unwrap();
    let env = |path: &str| {
        let env = [("AREA_PROVIDERS__DISCORD__CLIENT_ID", "me"), ("AREA_PROVIDERS__DISCORD__CLIENT_SECRET_FILE", path)];
        with(None, &env, &[]).map(|s| s.providers().unwrap())
    };
    let all = env(secret.to_str().unwrap()).unwrap();
    let discord = all.iter().find(|p| p.name == "discord").unwrap();
    assert_eq!(discord.client().unwrap().1.secret.as_ref().unwrap().expose(), "hunter2");
    assert!(env("/no/such").unwrap_err().starts_with("providers.discord.client_secret_file: /no/such: "));
    let check = |env: &[(&str, &str)], part: &str| {
        let why = with(None, env, &[]).unwrap_err();
        assert!(why.contains(part) && !why.contains("hunter2"), "`{why}` does not say `{part}`");
    };
    check(&[("AREA_PROVIDERS__GOOGLE__TOKEN_URL", "x")], "providers.google.token_url: must be a URL like");
    check(&[("AREA_PROVIDERS__GOOGLE__CLIENT_SECRET", "hunter2")], "providers.google.client_id: is missing");
    check(&[("AREA_PROVIDERS__GOOGLE__CLIENT_SECERT", "hunter2")], "AREA_PROVIDERS__GOOGLE__CLIENT_SECRET?");
    check(&[("AREA_PROVIDERS__GOOGLE__AUTH", "jwt")], "must be `basic` or `post` or `none`");
    check(&[("AREA_PROVIDERS__GOOGLE__PARAMS", "x")], "is no setting");
    check(&[("AREA_PROVIDERS__ACME__TITLE", "Acme")], "providers.acme.authorize_url: is missing");
}

#[test]
fn a_flag_beats_the_environment_beats_the_file_beats_the_default() {
    let file = Some("[log]\nfilter = \"file\"\n[database]\nconnections = 3\n[net]\nredirects = 9\n");
    let env = [("AREA_LOG__FILTER", "env"), ("AREA_DATABASE__CONNECTIONS", "4"), ("PATH", "x")];
    let s = with(file, &env, &[("log.filter", "flag")]).unwrap();
    assert_eq!((s.log.filter.as_str(), s.database.connections, s.net.redirects), ("flag", 4, 9));
    assert_eq!(s.net.lookups, engine::net::NetConfig::default().lookups);
}

#[test]
fn what_is_not_set_follows_from_what_is() {
    let s = with(None, &[("AREA_DATA_DIR", "/var/lib/area"), ("AREA_LISTEN", "0.0.0.0:9000")], &[]).unwrap();
    assert_eq!(s.database_url().expose(), "sqlite:/var/lib/area/area.db");
    assert_eq!(s.public_url().as_str(), "http://localhost:9000/");
    assert_eq!(s.lock_folder().unwrap(), Path::new("/var/lib/area"));
    let s = with(None, &[("AREA_DATABASE_URL", "postgres://u:p@h/d"), ("AREA_PUBLIC_URL", "https://a.example")], &[]);
    let s = s.unwrap();
    assert_eq!((s.database_file(), s.lock_folder()), (None, None));
    assert_eq!(s.public_url().as_str(), "https://a.example/");
}

#[test]
fn an_empty_variable_is_not_set_and_the_tests_own_are_none() {
    let env = [("AREA_LISTEN", ""), ("AREA_TEST_REQUIRE_ALL", "1"), ("AREA_CONFIG", "x"), ("AREANET", "x")];
    assert_eq!(with(None, &env, &[]), with(None, &[], &[]));
}

#[test]
fn origins_are_a_list_in_the_file_and_comma_separated_in_the_environment() {
    let origins = |s: Result<Settings, String>| {
        s.map(|s| s.connect.return_to.0.iter().map(|url| url.origin().ascii_serialization()).collect::<Vec<_>>())
    };
    let file = Some("[connect]\nreturn_to = [\"https://a.example\", \"http://b.example:8000\"]");
    assert_eq!(origins(with(file, &[], &[])).unwrap(), ["https://a.example", "http://b.example:8000"]);
    let env = |value: &str| origins(with(None, &[("AREA_CONNECT__RETURN_TO", value)], &[]));
    assert_eq!(env("https://a.example, https://b.example").unwrap(), ["https://a.example", "https://b.example"]);
    for wrong in
        ["a.example", "https://a.example/in", "https://me@a.example", "javascript:alert(1)", "https://a.example?x"]
    {
        let why = env(wrong).unwrap_err();
        assert!(why.contains("AREA_CONNECT__RETURN_TO") && why.contains("must be an origin like"), "{why}");
    }
}

#[test]
fn networks_are_a_list_in_the_file_and_comma_separated_in_the_environment() {
    let allow =
        |s: Result<Settings, String>| s.unwrap().net.allow.0.iter().map(ToString::to_string).collect::<Vec<_>>();
    let file = Some("[net]\nallow = [\"10.0.0.0/8\", \"::1\"]");
    assert_eq!(allow(with(file, &[], &[])), ["10.0.0.0/8", "::1/128"]);
    assert_eq!(allow(with(file, &[("AREA_NET__ALLOW", "127.0.0.0/8, ::1")], &[])), ["127.0.0.0/8", "::1/128"]);
}

#[test]
fn what_is_unknown_is_told_the_nearest_key_in_the_words_it_was_written_in() {
    let check = |got: Result<Settings, String>, want: &str| assert_eq!(got.unwrap_err(), want);
    check(with(Some("lisen = \"x\""), &[], &[]), "DIR/area.toml: there is no key `lisen`; did you mean `listen`?");
    check(
        with(Some("[net]\nalow = []"), &[], &[]),
        "DIR/area.toml: there is no key `net.alow`; did you mean `net.allow`?",
    );
    check(
        with(Some("[nett]\nallow = []"), &[], &[]),
        "DIR/area.toml: there is no key `nett.allow`; did you mean `net.allow`?",
    );
    check(
        with(None, &[("AREA_NET_ALLOW", "x")], &[]),
        "the environment variable AREA_NET_ALLOW is no setting; did you mean AREA_NET__ALLOW?",
    );
    check(with(None, &[], &[("log.fmt", "x")]), "`log.fmt` is no setting; did you mean `log.format`?");
}

#[test]
fn what_is_wrong_is_told_its_place_its_value_and_what_is_right() {
    let check = |file: Option<&str>, env: &[(&str, &str)], parts: &[&str]| {
        let got = with(file, env, &[]).unwrap_err();
        parts.iter().for_each(|part| assert!(got.contains(part), "`{got}` does not say `{part}`"));
    };
    check(None, &[("AREA_LISTEN", "8080")], &["AREA_LISTEN=8080", "socket address", "127.0.0.1:8080"]);
    check(Some("[net]\ntimeout = 5"), &[], &["DIR/area.toml", "net.timeout = 5", "unit", "5s"]);
    check(Some("[net]\ntimeout = \"soon\""), &[], &["net.timeout = soon", "5s"]);
    check(Some("[net]\nallow = [\"nowhere\"]"), &[], &["net.allow", "`nowhere`", "10.1.0.0/16"]);
    check(None, &[("AREA_NET__ALLOW", "nowhere")], &["AREA_NET__ALLOW=nowhere", "`nowhere`", "10.1.0.0/16"]);
    check(None, &[("AREA_NET__REDIRECTS", "many")], &["AREA_NET__REDIRECTS=many", "integer", "the default is 5"]);
    check(None, &[("AREA_NET__REDIRECTS", "-1")], &["AREA_NET__REDIRECTS=-1", "the default is 5"]);
    check(None, &[("AREA_SAMPLES__LOAD", "maybe")], &["AREA_SAMPLES__LOAD=maybe", "boolean"]);
    check(None, &[("AREA_LOG__FORMAT", "xml")], &["AREA_LOG__FORMAT=xml", "text", "json"]);
    check(None, &[("AREA_DATABASE_URL", "mysql://h/d")], &["sqlite:", "postgres://"]);
    check(None, &[("AREA_PUBLIC_URL", "ftp://h")], &["public_url", "https://"]);
    check(None, &[("AREA_PUBLIC_URL", "nothing")], &["AREA_PUBLIC_URL=nothing"]);
    check(None, &[("AREA_NODE__LEASE", "1s")], &["lease = 1s", "2s"]);
    check(None, &[("AREA_DATABASE__CONNECTIONS", "0")], &["database.connections", "1 or more"]);
    check(Some("net = 5"), &[], &["`net`"]);
    check(Some("listen ="), &[], &["DIR/area.toml", "1"]);
}

#[test]
fn a_file_that_was_named_must_be_there() {
    let sources = Sources { file: Some("no/such/file.toml".into()), ..Sources::default() };
    assert!(load(&sources).unwrap_err().0.starts_with("cannot read the configuration no/such/file.toml"));
}

#[test]
fn the_password_of_a_database_is_never_shown() {
    let s = with(None, &[("AREA_DATABASE_URL", "postgres://u:hunter2@h/d")], &[]).unwrap();
    assert!(s.database_url().expose().contains("hunter2"));
    assert!(!format!("{s:?} {}", s.database_url()).contains("hunter2"));
    assert_eq!(s.database_url().to_string(), "postgres://u:***@h/d");
    let s = with(None, &[("AREA_DATABASE_URL", "postgres://h/d?user=u&password=hunter2")], &[]).unwrap();
    assert_eq!(s.database_url().to_string(), "postgres://h/d");
    let wrong = with(None, &[("AREA_DATABASE_URL", "mysql://u:hunter2@h/d")], &[]).unwrap_err();
    assert!(!wrong.contains("hunter2"), "{wrong}");
}
