// Loaded into a gateway (`node --import`): writes a line for every name that is looked up and every connection that is
// opened, by whichever of Node's modules. What a child process does is not seen.

import diagnostics from 'node:diagnostics_channel';
import dns from 'node:dns';
import net from 'node:net';
import { syncBuiltinESMExports } from 'node:module';

const tell = (what) => process.stderr.write(`asked for ${what}\n`);

for (const api of [dns, dns.promises]) {
  for (const name of Object.keys(api).filter((one) => /^(?:lookup|resolve)/.test(one))) {
    const original = api[name];
    if (typeof original !== 'function') continue;
    api[name] = (...args) => {
      if (net.isIP(String(args[0])) === 0) tell(`the name ${String(args[0])}`); // an address to listen on is no question
      return original.apply(api, args);
    };
  }
}

const { connect } = net.Socket.prototype;
net.Socket.prototype.connect = function connectTold(...args) {
  tell(`a connection: ${JSON.stringify(args[0])}`);
  return connect.apply(this, args);
};

diagnostics.subscribe('undici:request:create', ({ request }) => tell(`${request.origin}${request.path}`));

syncBuiltinESMExports();
process.stderr.write('telling of connections\n');
