// The identity provider of the end-to-end tests: oidc-provider, certified for OpenID, with
// clients that may do what tests need. Its first line of output is its address; its standard
// input, once closed, ends it.
//
// The argument is JSON: {"clients": [...], "accounts": {"alice": {...claims}}, "configuration": {...}}, put
// over what is here. Further clients are registered (RFC 7591) under the id that they ask for.

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';

import { Provider } from 'oidc-provider';

const settings = JSON.parse(process.argv[2] || '{}');

/** A fresh signing key as a JWK. */
function key(kid, type, options) {
  const { privateKey } = generateKeyPairSync(type, options);
  return { ...privateKey.export({ format: 'jwk' }), kid, use: 'sig' };
}

// What tokens are for: the last word of the resource's address says how they look.
const resources = {
  'https://api.example/jwt': {
    accessTokenFormat: 'jwt',
    jwt: { sign: { alg: 'ES256' } },
  },
  'https://api.example/jwt-rs256': {
    accessTokenFormat: 'jwt',
    jwt: { sign: { alg: 'RS256' } },
  },
  'https://api.example/opaque': { accessTokenFormat: 'opaque' },
};

const secret = 'a secret of the test';

const machine = {
  client_secret: secret,
  grant_types: ['client_credentials'],
  response_types: [],
  redirect_uris: [],
};

const configuration = {
  clients: [
    { ...machine, client_id: 'service' },
    // It may ask about the tokens of others, and has none of its own.
    { ...machine, client_id: 'gateway', grant_types: [] },
    ...(settings.clients ?? []),
  ],
  jwks: {
    keys: [
      key('rsa', 'rsa', { modulusLength: 2048 }),
      key('ec', 'ec', { namedCurve: 'P-256' }),
      key('ed', 'ed25519', {}),
    ],
  },
  cookies: { keys: [randomBytes(32).toString('base64url')] },
  scopes: ['openid', 'offline_access', 'email', 'profile', 'groups'],
  claims: {
    openid: ['sub'],
    email: ['email', 'email_verified'],
    profile: ['name'],
    groups: ['groups'],
  },
  conformIdTokenClaims: false,
  enabledJWA: { dPoPSigningAlgValues: ['ES256', 'RS256', 'PS256', 'Ed25519', 'EdDSA'] },
  // Any account that signs in is there.
  async findAccount(_, id) {
    return {
      accountId: id,
      async claims() {
        const own = settings.accounts?.[id];
        return { sub: id, name: id, email: `${id}@users.example`, email_verified: true, ...own };
      },
    };
  },
  // Its clients are on loopback too, where it would send nothing by itself.
  fetch: (url, { dispatcher: _, ...options }) => globalThis.fetch(url, options),
  features: {
    backchannelLogout: { enabled: true },
    registration: {
      enabled: true,
      idFactory: (context) => context.oidc.body.client_id ?? randomBytes(8).toString('hex'),
      secretFactory: () => secret,
    },
    clientCredentials: { enabled: true },
    introspection: { enabled: true, allowedPolicy: () => true },
    revocation: { enabled: true },
    devInteractions: { enabled: true },
    resourceIndicators: {
      enabled: true,
      useGrantedResource: () => true,
      getResourceServerInfo(_, indicator) {
        const resource = resources[indicator];
        if (!resource) throw new Error(`no such resource: ${indicator}`);
        return {
          scope: 'orders:read orders:write',
          audience: indicator,
          accessTokenTTL: 600,
          ...resource,
        };
      },
    },
    ...(settings.configuration?.features ?? {}),
  },
};

const { features: _, ...rest } = settings.configuration ?? {};
const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, { ...configuration, ...rest });
  provider.on('server_error', (_, error) => console.error(error));
  for (const event of ['authorization', 'grant', 'userinfo', 'end_session', 'registration_create',
    'pushed_authorization_request', 'backchannel']) {
    provider.on(`${event}.error`, (_, error) => console.error(event, error));
  }
  server.on('request', provider.callback());
  console.log(JSON.stringify({ issuer }));
});

process.stdin.on('end', () => process.exit(0));
process.stdin.resume();
