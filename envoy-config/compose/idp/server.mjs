// An OpenID provider, for trying only: its people and their passwords stand here, and it forgets everything when it ends.
// What it says and asks is oidc-provider's (https://github.com/panva/node-oidc-provider), which is certified.

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';

import { Provider } from 'oidc-provider';

const port = Number(process.env.PORT);
// Browsers and Envoy both find it by this name.
const issuer = `http://127.0.0.1:${port}`;

const people = new Map([
  ['alice', { email: 'alice@example.com', name: 'Alice', groups: ['admins'], password: 'password' }],
  ['bob', { email: 'bob@example.com', name: 'Bob', groups: [], password: 'password' }],
]);

function secret(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set`);
  return value;
}

const clients = [
  {
    client_id: 'gateway',
    client_secret: secret('OAUTH2_CLIENT_SECRET'),
    redirect_uris: ['http://localhost:10000/oauth2/callback', 'http://127.0.0.1:10000/oauth2/callback'],
    grant_types: ['authorization_code', 'refresh_token'],
  },
  // A program, which gets tokens for itself.
  {
    client_id: 'orders',
    client_secret: secret('ORDERS_CLIENT_SECRET'),
    redirect_uris: [],
    response_types: [],
    grant_types: ['client_credentials'],
  },
];

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const key = { ...privateKey.export({ format: 'jwk' }), kid: randomBytes(8).toString('hex'), use: 'sig' };

const provider = new Provider(issuer, {
  clients,
  clientDefaults: { id_token_signed_response_alg: 'ES256' },
  jwks: { keys: [key] },
  cookies: { keys: [randomBytes(32).toString('base64url')] },
  scopes: ['openid', 'offline_access', 'email', 'profile', 'groups'],
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'], groups: ['groups'] },
  // In the ID token too, not at UserInfo alone.
  conformIdTokenClaims: false,
  issueRefreshToken: (_, client) => client.grantTypeAllowed('refresh_token'),
  ttl: { AccessToken: 600, ClientCredentials: 600, Grant: 86400, IdToken: 600, Interaction: 600, RefreshToken: 86400, Session: 86400 },
  findAccount(_, accountId) {
    if (!people.has(accountId)) return undefined;
    const { password, ...claims } = people.get(accountId);
    return { accountId, claims: () => ({ sub: accountId, ...claims, email_verified: true }) };
  },
  // Nobody is asked whether the gateway may know who they are.
  async loadExistingGrant({ oidc: { client, session } }) {
    const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
    grant.addOIDCScope('openid offline_access email profile groups');
    await grant.save();
    return grant;
  },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    // Tokens of programs are JWTs for the API.
    resourceIndicators: {
      enabled: true,
      defaultResource: ({ oidc }) => (oidc.params?.grant_type === 'client_credentials' ? 'urn:example:api' : undefined),
      getResourceServerInfo: () => ({
        scope: 'read write',
        audience: 'api',
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg: 'ES256' } },
      }),
    },
  },
});
provider.on('server_error', (_, error) => console.error(error));

function page(response, status, text) {
  response.writeHead(status, {
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
    'cache-control': 'no-store',
  });
  response.end(`<!doctype html><html lang="en"><title>Sign in</title><h1>Sign in</h1>${text}</html>`);
}

const FORM = `<form method="post">
<p><label>E-mail <input name="email" type="email" autocomplete="username" required autofocus></label>
<p><label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<p><button>Sign in</button></form>`;

async function form(request) {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) {
    text += chunk;
    if (text.length > 4096) throw new Error('a form that is too long');
  }
  return new URLSearchParams(text);
}

/** Where somebody is sent to sign in: /interaction/UID. */
async function signIn(request, response) {
  await provider.interactionDetails(request, response);
  if (request.method !== 'POST') return page(response, 200, FORM);
  const given = await form(request);
  const isIt = ([, person]) => person.email === given.get('email') && person.password === given.get('password');
  const [accountId] = [...people].find(isIt) ?? [];
  if (!accountId) return page(response, 403, `<p>Nobody has that e-mail address and that password.${FORM}`);
  return provider.interactionFinished(request, response, { login: { accountId } });
}

const callback = provider.callback();
const server = createServer((request, response) => {
  if (!request.url.startsWith('/interaction/')) return callback(request, response);
  return signIn(request, response).catch((error) => {
    console.error(error);
    page(response, 400, '<p>This sign-in is over. Begin again at the page that you wanted.');
  });
});
server.listen(port, '127.0.0.1', () => console.log(`${issuer} is ready`));

// The first process of a container ends by no signal that it does not wait for.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(0));
