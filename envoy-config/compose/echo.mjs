// An upstream that says what it was asked, as JSON.

import { createServer } from 'node:http';

// Longer bodies are read, and shown so far.
const SHOWN = 65536;

const server = createServer(async (request, response) => {
  const { method, url, headers } = request;
  let body = '';
  for await (const chunk of request.setEncoding('utf8')) body = (body + chunk).slice(0, SHOWN);
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(`${JSON.stringify({ method, url, headers, body }, null, 2)}\n`);
});
server.listen(Number(process.env.PORT), '127.0.0.1');

// The first process of a container ends by no signal that it does not wait for.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(0));
