// npm oidc-provider (panva, MIT, OpenID-certified) as a strict OAuth 2 server on 127.0.0.1: PKCE, real expiry, rotation of refresh
// tokens with reuse detection (an old one kills its whole family), `iss` in the callback. It signs every request in as `login_hint`
// (ada) and grants what was asked, so no browser is needed; with `state=deny…` the user says no.
//   PORT=4030 CALLBACK=http://127.0.0.1:8080/v1/connect/oidc/callback AT_TTL=3600 RT_TTL=86400 ROTATE=1 node oidc.mjs
// CALLBACK may be several, with a space between.
// GET /__ctl/counts: what became of the grants since the start.
// POST /__ctl/end?token=…: an access token is over; what it came with lives.
// POST /__ctl/fault?kind=slow&times=2: the next answers of the token endpoint. `slow`: it happened, and the answer takes a while. `down`: 500, and `page`: a
// page of a proxy, both before anything happened. `cut`: it happened, and the answer is lost. `endless`: without expires_in. `bare`:
// without refresh_token. Every answer of the token endpoint takes ANSWER_MS, after it happened.
import Provider from "oidc-provider";

const port = Number(process.env.PORT);
const issuer = `http://127.0.0.1:${port}`;
const ttl = (name, seconds) => Number(process.env[name] ?? seconds);
const client = {
  redirect_uris: (process.env.CALLBACK ?? "http://127.0.0.1:8080/v1/connect/oidc/callback").split(" "),
  grant_types: ["authorization_code", "refresh_token"],
  response_types: ["code"],
};
const provider = new Provider(issuer, {
  clients: [
    { client_id: "area", client_secret: "area-secret", token_endpoint_auth_method: process.env.AUTH ?? "client_secret_basic", ...client },
    { client_id: "area-public", token_endpoint_auth_method: "none", application_type: "native", ...client },
  ],
  pkce: { required: () => true },
  scopes: ["openid", "offline_access", "email", "profile", "read", "write"],
  claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"] },
  features: { devInteractions: { enabled: false }, revocation: { enabled: true }, introspection: { enabled: true } },
  rotateRefreshToken: process.env.ROTATE !== "0",
  issueRefreshToken: async (_ctx, client) => client.grantTypeAllowed("refresh_token"),
  ttl: {
    AccessToken: ttl("AT_TTL", 3600), AuthorizationCode: ttl("CODE_TTL", 60), RefreshToken: ttl("RT_TTL", 86400),
    IdToken: 3600, Session: 3600, Grant: 86400, Interaction: 600,
  },
  clockTolerance: 0,
  cookies: { keys: ["test-only"] },
  findAccount: (_ctx, id) => ({
    accountId: id,
    claims: () => ({ sub: id, email: `${id}@example.com`, email_verified: true, name: id }),
  }),
  interactions: { url: (_ctx, i) => `/interaction/${i.uid}` },
});
const faults = [];
const page = "<!doctype html><title>One moment</title>";
async function token(ctx, next) {
  const kind = faults.shift();
  if (kind === "down" || kind === "page") {
    [ctx.status, ctx.body] = kind === "down" ? [500, "down"] : [200, page];
    return;
  }
  await next();
  const wait = kind === "slow" ? 1500 : Number(process.env.ANSWER_MS ?? 0);
  if (wait) await new Promise((done) => setTimeout(done, wait));
  if (kind === "cut") [ctx.status, ctx.body] = [200, page];
  if (kind === "endless") ctx.body = { ...ctx.body, expires_in: undefined };
  if (kind === "bare") ctx.body = { ...ctx.body, refresh_token: undefined };
}
const counts = { codes: 0, refreshes: 0, refused: 0, revoked: 0 };
provider.on("grant.success", (ctx) => { counts[ctx.oidc.params.grant_type === "refresh_token" ? "refreshes" : "codes"]++; });
provider.on("grant.error", () => { counts.refused++; });
provider.on("grant.revoked", () => { counts.revoked++; });
provider.use(async (ctx, next) => {
  if (ctx.path === "/__ctl/counts") { ctx.body = { ...counts, armed: faults.length }; return; }
  if (ctx.path === "/__ctl/fault") {
    for (let n = 0; n < Number(ctx.query.times ?? 1); n++) faults.push(ctx.query.kind);
    ctx.body = { armed: faults.length };
    return;
  }
  if (ctx.path === "/__ctl/end") {
    await (await provider.AccessToken.find(ctx.query.token)).destroy();
    ctx.body = {};
    return;
  }
  if (ctx.path === "/token") return token(ctx, next);
  if (!ctx.path.startsWith("/interaction/")) return next();
  const it = await provider.interactionDetails(ctx.req, ctx.res);
  if (it.params.state?.startsWith("deny")) {
    return provider.interactionFinished(ctx.req, ctx.res, { error: "access_denied", error_description: "the user said no" });
  }
  const accountId = it.session?.accountId ?? it.params.login_hint ?? "ada";
  const grant = it.grantId ? await provider.Grant.find(it.grantId) : new provider.Grant({ accountId, clientId: it.params.client_id });
  grant.addOIDCScope(it.params.scope ?? "openid");
  const grantId = await grant.save();
  await provider.interactionFinished(ctx.req, ctx.res, { login: { accountId }, consent: { grantId } }, { mergeWithLastSubmission: true });
});
provider.listen(port, "127.0.0.1", () => console.log(`ready ${issuer}`));
