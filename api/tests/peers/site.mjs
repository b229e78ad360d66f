// A site on Auth.js (`@auth/core` with its PostgreSQL adapter, sessions in the database) on 127.0.0.1, which shares the daemon's
// database and signs its users in at an OpenID provider.
//   DATABASE_URL=postgres://… ISSUER=http://127.0.0.1:4030 [PROVIDER=oidc] PORT=3000 node site.mjs
// `/auth/*` is Auth.js; `/me` says whom the cookie's session belongs to; `/use` calls the provider with the access token that stands in
// `accounts`, as such sites do.
import { createServer } from "node:http";
import { Auth } from "@auth/core";
import PostgresAdapter from "@auth/pg-adapter";
import pg from "pg";

const { DATABASE_URL, ISSUER, PROVIDER = "oidc", PORT } = process.env;
const pool = new pg.Pool({ connectionString: DATABASE_URL, options: "-c search_path=next_auth,public", max: 4 });
const config = {
  adapter: PostgresAdapter(pool),
  basePath: "/auth",
  secret: "for-tests-alone",
  trustHost: true,
  session: { strategy: "database" },
  callbacks: { session: ({ session, user }) => ({ expires: session.expires, user: { id: user.id, name: user.name, email: user.email } }) },
  providers: [{
    id: PROVIDER, name: PROVIDER, type: "oidc", issuer: ISSUER, clientId: "area", clientSecret: "area-secret",
    client: { token_endpoint_auth_method: "client_secret_post" },
    authorization: { params: { scope: "openid email profile offline_access", prompt: "consent" } },
    checks: ["pkce", "state", "nonce"],
    // With an id token these claims come from userinfo alone (oidc-provider, conformIdTokenClaims).
    idToken: false,
    profile: (profile) => ({ id: profile.sub, name: profile.name, email: profile.email, image: null }),
  }],
};

const json = (status, body) => new Response(JSON.stringify(body), { status, headers: { "content-type": "application/json" } });

async function me(request) {
  const session = await Auth(new Request(new URL("/auth/session", request.url), { headers: request.headers }), config);
  return session.json();
}

async function use(request) {
  const { user } = (await me(request)) ?? {};
  if (!user) return json(401, { error: "not signed in" });
  const found = await pool.query(`SELECT a.access_token FROM accounts a JOIN users u ON u.id = a."userId" WHERE u.email = $1`, [user.email]);
  const answer = await fetch(`${ISSUER}/me`, { headers: { authorization: `Bearer ${found.rows[0]?.access_token}` } });
  return json(answer.status, { provider: await answer.text() });
}

async function answer(request) {
  const { pathname } = new URL(request.url);
  if (pathname.startsWith("/auth")) return Auth(request, config);
  if (pathname === "/me") return json(200, await me(request));
  if (pathname === "/use") return use(request);
  return json(404, { error: "no such page" });
}

const server = createServer(async (incoming, outgoing) => {
  const chunks = [];
  for await (const chunk of incoming) chunks.push(chunk);
  const body = chunks.length ? Buffer.concat(chunks) : undefined;
  const url = `http://127.0.0.1:${PORT}${incoming.url}`;
  const response = await answer(new Request(url, { method: incoming.method, headers: incoming.headers, body }));
  outgoing.statusCode = response.status;
  for (const [name, value] of response.headers) if (name !== "set-cookie") outgoing.setHeader(name, value);
  const cookies = response.headers.getSetCookie();
  if (cookies.length) outgoing.setHeader("set-cookie", cookies);
  outgoing.end(Buffer.from(await response.arrayBuffer()));
});
server.listen(Number(PORT), "127.0.0.1", () => console.log(`ready http://127.0.0.1:${PORT}`));
