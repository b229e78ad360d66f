// What the emulator has not, with a state: a calendar with sync tokens and series, Drive's changes and searches, Sheets. google-strict.mjs
// serves it and knows the tokens. It refuses what Google's documentation says is refused and Prism cannot see: parameters that there are
// not, or not together, a search in other words, a place that is forgotten.
//   put({event: {…}}), put({file: {…}}), put({sheet: "book/title", rows: [[…]]}): what a person does; forget(): every place dies

// Fewer than anybody asks for: there are always pages.
const PAGE = 2;
const TEAM = "team@group.calendar.google.com", ZONE = "Europe/Paris";
const ANN = { displayName: "Ann Smith", emailAddress: "ann@example.org" };

const state = { at: 0, age: 0, events: {}, files: {}, books: {} };
const now = () => new Date().toISOString();
const of = (time) => Date.parse(time?.dateTime ?? time?.date);
const error = (code, reason, message = "Invalid Value") => [code, { error: { code, message, errors: [{ domain: "global", reason, message }] } }];
const invalid = error(400, "invalid"), missing = error(404, "notFound", "Not Found");

// A place in a list, as the text that the client brings back.
const text = (place) => Buffer.from(JSON.stringify({ ...place, age: state.age })).toString("base64url");
function place(token) {
  const read = JSON.parse(Buffer.from(token, "base64url"));
  return read.age === state.age ? read : null;
}

// What changed after `from` and until `to`, a page of it; what changes meanwhile comes after `to`.
function changed(all, { from, to }) {
  const found = Object.values(all).filter((one) => one.at > from && one.at <= to).sort((a, b) => a.at - b.at);
  return { some: found.slice(0, PAGE), next: found.length > PAGE ? { from: found[PAGE - 1].at, to } : null };
}

// Of an object what `fields` names: `nextPageToken,files(id,name)`, `sheets.properties.title`; all of it where there is no mask.
function masked(value, fields) {
  if (!fields) return value;
  if (Array.isArray(value)) return value.map((one) => masked(one, fields));
  let depth = 0;
  const names = [""];
  for (const c of fields) {
    depth += (c === "(") - (c === ")");
    if (c === "," && depth === 0) names.push("");
    else names[names.length - 1] += c;
  }
  const entries = names.map((name) => {
    const [, key, inner] = /^(\w+)(?:\((.*)\)|\.(.*))?$/s.exec(name).filter((part, n) => n < 2 || part !== undefined);
    return [key, inner && value[key] !== undefined ? masked(value[key], inner) : value[key]];
  });
  return Object.fromEntries(entries.filter(([, inner]) => inner !== undefined));
}

const kept = ({ at, ...event }) => event;
const shown = (event) => (event.status !== "cancelled" ? kept(event)
  : Object.fromEntries(["kind", "etag", "id", "status", "recurringEventId", "originalStartTime"].map((key) => [key, event[key]])));

// The days of a series, each as it was changed.
function days(series) {
  const count = Number(/^RRULE:FREQ=DAILY;COUNT=(\d+)$/.exec(series.recurrence[0])[1]);
  return Array.from({ length: count }, (_, n) => {
    const later = (time) => ({ ...time, dateTime: new Date(of(time) + n * 86_400_000).toISOString().replace(".000", "") });
    const [start, end] = [later(series.start), later(series.end)];
    const id = `${series.id}_${start.dateTime.replace(/[-:]/g, "")}`;
    const { recurrence, ...rest } = series;
    return state.events[id] ?? { ...rest, id, start, end, recurringEventId: series.id, originalStartTime: start };
  });
}

const listed = (more, fields) => [200, masked({ kind: "calendar#events", etag: `"${state.at}"`, summary: "Team 🎉", timeZone: ZONE, updated: now(),
  accessRole: "owner", defaultReminders: [], ...more }, fields)];

function starting(query) {
  const { timeMin, timeMax, orderBy, pageToken, fields } = query;
  const own = Object.values(state.events).filter((event) => !event.recurringEventId);
  const all = own.flatMap((event) => (event.recurrence ? days(event) : [event])).filter((event) => event.status !== "cancelled");
  const found = all.filter((event) => of(event.end) > Date.parse(timeMin) && of(event.start) < Date.parse(timeMax));
  if (orderBy === "startTime") found.sort((a, b) => of(a.start) - of(b.start));
  const { skip } = pageToken ? place(pageToken) ?? {} : { skip: 0 };
  if (skip === undefined) return invalid;
  const next = found.length > skip + PAGE ? text({ skip: skip + PAGE }) : undefined;
  return listed({ items: found.slice(skip, skip + PAGE).map(kept), nextPageToken: next }, fields);
}

function events(query) {
  const { syncToken, pageToken, singleEvents, orderBy, fields } = query;
  if (orderBy === "startTime" && singleEvents !== "true") return error(400, "badRequest", "orderBy startTime needs singleEvents");
  if (singleEvents === "true") return starting(query);
  if (syncToken && ["q", "timeMin", "timeMax", "orderBy", "updatedMin", "iCalUID"].some((name) => name in query)) return error(400, "badRequest");
  const since = syncToken ? place(syncToken) : { to: 0 };
  if (!since) return error(410, "fullSyncRequired", "Sync token is no longer valid, a full sync is required.");
  const here = pageToken ? place(pageToken) : { from: since.to, to: state.at };
  if (!here || (pageToken && here.of !== (syncToken ?? ""))) return invalid;
  const { some, next } = changed(state.events, here);
  const items = some.filter((event) => syncToken || event.status !== "cancelled" || event.recurringEventId).map(shown);
  const token = next ? { nextPageToken: text({ ...next, of: syncToken ?? "" }) } : { nextSyncToken: text({ to: here.to }) };
  return listed({ items, ...token }, fields);
}

// The files of a shared drive, or those of none, and of all where they are asked for; null where that is asked in a way that Drive refuses.
function within({ driveId, supportsAllDrives, includeItemsFromAllDrives, corpora = driveId && "drive" }) {
  const all = supportsAllDrives === "true" && includeItemsFromAllDrives === "true";
  if (includeItemsFromAllDrives === "true" && !all) return null;
  if (driveId ? !all || corpora !== "drive" : corpora) return null;
  return Object.values(state.files).filter((file) => (driveId ? file.driveId === driveId : all || !file.driveId));
}

// A shared drive has a log of its own: developers.google.com/workspace/drive/api/guides/about-changes. What of it may be in its members'
// logs too is not shown.
function changes({ pageToken, fields, ...query }) {
  const here = place(pageToken), found = within(query);
  if (!here || !found || here.drive !== query.driveId) return invalid;
  const { some, next } = changed(found.filter((file) => query.driveId || !file.driveId), { to: state.at, ...here });
  const change = { kind: "drive#change", type: "file", changeType: "file", time: now(), removed: false };
  const all = some.map((file) => ({ ...change, fileId: file.id, file: kept(file) }));
  const { drive } = here;
  const token = next ? { nextPageToken: text({ ...next, drive }) } : { newStartPageToken: text({ from: here.to ?? state.at, drive }) };
  return [200, masked({ kind: "drive#changeList", changes: all, ...token }, fields ?? "kind,nextPageToken,newStartPageToken,changes")];
}

// developers.google.com/workspace/drive/api/guides/ref-search-terms
const TERMS = [
  [/^trashed = false/, () => (file) => !file.trashed],
  [/^sharedWithMe = true/, () => (file) => file.sharedWithMeTime],
  [/^mimeType = '([^']*)'/, (type) => (file) => file.mimeType === type],
  [/^name contains '((?:[^'\\]|\\.)*)'/, (begin) => (file) => ` ${file.name}`.toLowerCase().includes(` ${begin.replace(/\\(.)/g, "$1")}`.toLowerCase())],
  [/^createdTime > '([^']*)'/, (time) => (file) => Date.parse(file.createdTime) > Date.parse(time)],
];
const KEYS = ["createdTime", "sharedWithMeTime", "viewedByMeTime", "modifiedTime", "name"];

function files({ q = "", orderBy = "name", pageToken, fields, ...query }) {
  const tests = [], there = query.driveId && !query.corpora ? null : within(query);
  if (!there) return invalid;
  for (let rest = q; rest; ) {
    const [pattern, test] = TERMS.find(([pattern]) => pattern.test(rest)) ?? [];
    if (!pattern) return invalid;
    tests.push(test(pattern.exec(rest)[1]));
    rest = rest.replace(pattern, "").replace(/^ and /, "");
  }
  const [key, order] = orderBy.split(" ");
  if (!KEYS.includes(key)) return invalid;
  const found = there.filter((file) => tests.every((test) => test(file)));
  found.sort((a, b) => String(a[key] ?? "").localeCompare(String(b[key] ?? "")) * (order === "desc" ? -1 : 1));
  const { skip } = pageToken ? place(pageToken) ?? {} : { skip: 0 };
  if (skip === undefined) return invalid;
  const end = skip + PAGE;
  const next = found.length > end ? text({ skip: end }) : undefined;
  const page = { kind: "drive#fileList", incompleteSearch: false, files: found.slice(skip, end).map(kept), nextPageToken: next };
  return [200, masked(page, fields ?? "kind,files(id,name,mimeType),nextPageToken")];
}

// The first row of a sheet, `'A b'!1:1`, or `1:1` of the first one; and, to append, its corner `A1`, behind whose table a row comes.
function values(method, id, range, append, query, body) {
  const book = state.books[id], [, quoted] = /^(?:'((?:[^']|'')+)'!)?(?:1:1|A1)$/.exec(range) ?? [];
  const title = quoted?.replaceAll("''", "'") ?? Object.keys(book)[0];
  if (!(append ? /A1$/ : /1:1$/).test(range) || !book[title]) return error(400, "badRequest", `Unable to parse range: ${range}`);
  const rows = book[title], name = `'${title.replaceAll("'", "''")}'`;
  if (method === "GET") return [200, { range: `${name}!A1:Z1`, majorDimension: "ROWS", ...(rows.length && { values: rows.slice(0, 1) }) }];
  if (!query.valueInputOption) return error(400, "badRequest", "'valueInputOption' is required but not specified");
  // Null is skipped, and what is behind the last value stays.
  const at = append ? rows.length : 0, [row] = body.values, there = rows[at] ?? [];
  rows[at] = [...row.map((value, n) => value ?? there[n] ?? ""), ...there.slice(row.length)];
  const updatedRange = `${name}!A${at + 1}:${String.fromCharCode(64 + row.length)}${at + 1}`;
  const updates = { spreadsheetId: id, updatedRange, updatedRows: 1, updatedColumns: row.length, updatedCells: row.length };
  return [200, append ? { spreadsheetId: id, tableRange: `${name}!A1:Z${at}`, updates } : updates];
}

const known = (query, names) => Object.keys(query).every((name) => names.split(" ").includes(name));
const start = ({ driveId: drive, supportsAllDrives }) => (drive && supportsAllDrives !== "true" ? invalid
  : [200, { kind: "drive#startPageToken", startPageToken: text({ from: state.at, drive }) }]);
const file = ({ fields = "kind,id,name,mimeType" }, [id]) => (state.files[id] ? [200, masked(kept(state.files[id]), fields)] : missing);

function book({ fields = "spreadsheetId,properties,sheets" }, [id]) {
  const sheets = Object.keys(state.books[id] ?? {}).map((title, index) => ({ properties: { sheetId: index, title, index } }));
  return state.books[id] ? [200, masked({ spreadsheetId: id, properties: { title: id }, sheets }, fields)] : missing;
}

// What is asked, which parameters there are, and who answers.
const ROUTES = [
  [new RegExp(`^GET /calendar/v3/calendars/${TEAM}/events$`), "maxResults syncToken pageToken singleEvents orderBy timeMin timeMax fields", events],
  [/^GET \/drive\/v3\/changes\/startPageToken$/, "driveId supportsAllDrives", start],
  [/^GET \/drive\/v3\/changes$/, "pageToken pageSize includeRemoved driveId supportsAllDrives includeItemsFromAllDrives fields", changes],
  [/^GET \/drive\/v3\/files$/, "q orderBy pageSize pageToken fields corpora driveId supportsAllDrives includeItemsFromAllDrives", files],
  [/^GET \/drive\/v3\/files\/([^/]+)$/, "fields supportsAllDrives", file],
  [/^GET \/v4\/spreadsheets\/([^/]+)$/, "fields", book],
  [/^(GET|PUT|POST) \/v4\/spreadsheets\/([^/]+)\/values\/([^/]+?)(:append)?$/, "valueInputOption insertDataOption",
    (query, [method, id, range, append], body) => (state.books[id] ? values(method, id, range, append, query, body) : missing)],
];

// The answer: a status and a body; null where it is the emulator's.
export function fake(method, url, body) {
  const query = Object.fromEntries(url.searchParams), call = `${method} ${decodeURIComponent(url.pathname)}`;
  for (const [pattern, names, answer] of ROUTES) {
    const found = pattern.exec(call);
    if (found) return known(query, names) ? answer(query, found.slice(1), body) : error(400, "badRequest", `Unknown name in ${Object.keys(query)}`);
  }
  return null;
}

// What a person does; the state as it is then.
export function put({ event, file, sheet, rows }) {
  state.at += 1;
  const etag = `"${state.at}"`;
  if (event) {
    const made = { kind: "calendar#event", status: "confirmed", created: now(), creator: { email: ANN.emailAddress }, eventType: "default",
      organizer: { email: ANN.emailAddress, displayName: ANN.displayName }, htmlLink: `https://www.google.com/calendar/event?eid=${event.id}` };
    state.events[event.id] = { ...made, ...state.events[event.id], ...event, etag, updated: now(), at: state.at };
  }
  if (file) {
    const made = { kind: "drive#file", mimeType: "application/pdf", name: file.id, createdTime: now(), trashed: false,
      owners: [{ kind: "drive#user", ...ANN }], webViewLink: `https://drive.google.com/file/d/${file.id}/view` };
    state.files[file.id] = { ...made, ...state.files[file.id], ...file, modifiedTime: now(), at: state.at };
  }
  if (sheet) {
    const [book, title] = sheet.split("/");
    (state.books[book] ??= {})[title] = rows;
  }
  return state;
}

export function forget() {
  state.age += 1;
  return state;
}
