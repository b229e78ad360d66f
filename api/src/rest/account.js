// What each kind of link asks for and where it goes. The token is behind the `#` and never leaves but in the body of that request.
const kinds = {
  verify: { path: "v1/auth/verify", what: "Confirm your address with the password that you chose.", password: "current-password",
    body: (token, f) => ({ token, password: f.password, cookie: true }), done: "Your address is confirmed, and you are signed in." },
  reset: { path: "v1/auth/password/reset", what: "Choose a new password.", password: "new-password",
    body: (token, f) => ({ token, password: f.password }), done: "Your password is changed. Sign in with it." },
  email: { path: "v1/auth/email/confirm", what: "Use this address for your account.",
    body: (token) => ({ token }), done: "Your account has this address now." },
  connect: { path: (token) => `v1/connect/${encodeURIComponent(token)}`, what: "Link this account again at its provider.",
    body: () => ({}), signedIn: true, to: (said) => said.authorize_url },
  login: { path: "v1/auth/login", what: "Sign in.", email: true, password: "current-password",
    body: (_, f) => ({ email: f.email, password: f.password, cookie: true }), done: "You are signed in: go back to where you came from." },
  first: { path: "v1/auth/first", what: "Become the first SUPER-ADMIN.", email: true, password: "new-password",
    body: (token, f) => ({ code: token, email: f.email, password: f.password }), done: "Done. Sign in." },
};
const $ = (id) => document.getElementById(id);
const [name, token] = location.hash.slice(1).split("=");
const kind = Object.hasOwn(kinds, name) && token ? kinds[name] : null;
history.replaceState(null, "", location.pathname);
if (kind) {
  $("what").textContent = kind.what;
  $("form").hidden = false;
  $("code-label").hidden = !kind.email;
  $("password-label").hidden = !kind.password;
  if (kind.password) $("password").autocomplete = kind.password;
  $("form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const fields = { email: $("email").value, password: $("password").value };
    const headers = { "content-type": "application/json" };
    const send = (path, body) => fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
    try {
      if (kind.signedIn && fields.password) {
        const signed = await send("v1/auth/login", { ...fields, cookie: true });
        if (!signed.ok) {
          $("said").textContent = (await signed.json()).detail;
          return;
        }
      }
      const answer = await send(kind.path instanceof Function ? kind.path(token) : kind.path, kind.body(token, fields));
      if (kind.signedIn && answer.status === 401) {
        $("code-label").hidden = $("password-label").hidden = false;
        $("password").autocomplete = "current-password";
        $("said").textContent = "Sign in first.";
        return;
      }
      if (answer.ok && kind.to) {
        location.assign(kind.to(await answer.json()));
        return;
      }
      $("form").hidden = answer.ok;
      $("said").textContent = answer.ok ? kind.done : (await answer.json()).detail;
    } catch {
      $("said").textContent = "The server does not answer: try again.";
    }
  });
}
