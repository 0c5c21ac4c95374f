/* Those who receive tokens: verifiers of different habits, all of them within what the key set's answer
 * promises, and the ledger of what they could and could not verify.
 *
 *   jose    npm jose as it is. It fetches when it meets an unknown kid, at most once per cooldown. Its
 *           default of 30 s fits every rotation slower than that; here keys sign two seconds after they were
 *           published, so its own option says that a set is good for max-age and no longer. Its other
 *           options are the defaults: what it has, it keeps for ten minutes.
 *   strict  goes by max-age alone, counted from its request (RFC 9111 4.2.3), and never fetches earlier,
 *           whatever kid it meets.
 *   slow    fetches at the last moment that the promise allows: when max-age and stale-while-revalidate
 *           are over (RFC 5861); while no answer comes, when stale-if-error is.
 *   fresh   has just started and knows nothing.
 */
import crypto from 'node:crypto';
import * as jose from 'jose';
import { api, sleep } from './helpers.mjs';

const directives = ['max-age', 'stale-while-revalidate', 'stale-if-error'];
const RETRY_MS = 50; /* an office that is being started again answers soon */
const ASKING_MAX = 64;
const FRESH_MS = 100; /* verifiers that start within it share one fetch */

/* Seconds by directive; 0 for one that is absent. */
export function promiseOf(cacheControl) {
	const told = new Map(cacheControl.split(',').map((part) => part.trim().split('=')));
	return Object.fromEntries(directives.map((name) => [name, Number(told.get(name) ?? 0)]));
}

class Unreachable extends Error {}
class Unverifiable extends Error {}

export class Token {
	constructor(text, sent) {
		const [header, payload, signature] = text.split('.');
		this.text = text;
		this.header = JSON.parse(Buffer.from(header, 'base64url'));
		this.claims = JSON.parse(Buffer.from(payload, 'base64url'));
		this.input = Buffer.from(`${header}.${payload}`);
		this.signature = Buffer.from(signature, 'base64url');
		/* how far the office's clock was off, in whole minutes; the receivers' clocks are right */
		this.shift = Math.round((this.claims.iat * 1000 - sent) / 60_000) * 60_000;
		this.ends = this.claims.exp * 1000 - this.shift;
	}
}

/* Verifiers with a cache of their own. `lifetime` says until when an answer may be used. */
class Caching {
	constructor(server) {
		this.server = server;
		this.keys = new Map();
		this.until = 0;
		this.untilOnError = 0;
		this.fetches = 0;
	}

	async fetch() {
		const sent = Date.now();
		const headers = this.etag ? { 'if-none-match': this.etag } : {};
		const answer = await this.server.get('/.well-known/jwks.json', headers).catch(() => ({ status: 0 }));
		if (answer.status !== 200 && answer.status !== 304)
			throw new Unreachable(`the key set: ${answer.status}`);
		this.fetches++;
		if (answer.status === 200) {
			this.keys = new Map(answer.json.keys.map((key) =>
				[key.kid, { alg: key.alg, key: crypto.createPublicKey({ key, format: 'jwk' }) }]));
			this.etag = answer.headers.etag;
		}
		this.lifetime(promiseOf(answer.headers['cache-control']), sent);
	}

	async keep() {
		if (Date.now() < this.until)
			return;
		try {
			await (this.pending ??= this.fetch().finally(() => {
				this.pending = undefined;
			}));
		} catch (error) {
			if (Date.now() >= this.untilOnError)
				throw error;
		}
	}

	async verify(token) {
		await this.keep();
		const found = this.keys.get(token.header.kid);
		if (!found || found.alg !== token.header.alg)
			throw new Unverifiable(`no key ${token.header.kid} among ${this.keys.size}`);
		const key = found.alg === 'RS256' ? found.key : { key: found.key, dsaEncoding: 'ieee-p1363' };
		if (!crypto.verify('sha256', token.input, key, token.signature))
			throw new Unverifiable('the signature is wrong');
	}
}

class Strict extends Caching {
	lifetime(promise, sent) {
		this.until = sent + promise['max-age'] * 1000;
	}
}

class Slow extends Caching {
	lifetime(promise, sent) {
		this.until = sent + (promise['max-age'] + promise['stale-while-revalidate']) * 1000;
		this.untilOnError = sent + (promise['max-age'] + promise['stale-if-error']) * 1000;
	}
}

class Fresh extends Caching {
	lifetime(promise, sent) {
		this.until = sent + FRESH_MS;
		this.etag = undefined;
	}
}

class Jose {
	constructor(server, maxAge) {
		this.issuer = server.issuer;
		this.keys = jose.createRemoteJWKSet(new URL(`${server.issuer}/.well-known/jwks.json`),
			{ cooldownDuration: maxAge * 1000 });
	}

	async verify(token) {
		const options = { issuer: this.issuer, audience: api, typ: 'at+jwt', algorithms: [token.header.alg],
			currentDate: new Date(Date.now() + token.shift) };
		try {
			await jose.jwtVerify(token.text, this.keys, options);
		} catch (error) {
			const judged = error instanceof jose.errors.JOSEError && error.code !== 'ERR_JWKS_TIMEOUT' &&
				!/Expected 200 OK/.test(error.message);
			throw new (judged ? Unverifiable : Unreachable)(error.message);
		}
	}
}

/* What came of every token. A verdict counts when it was given before the token's end by the receivers'
 * clock: later, nothing is promised. */
export class Ledger {
	constructor(server, maxAge) {
		this.verifiers = { jose: new Jose(server, maxAge), strict: new Strict(server), slow: new Slow(server),
			fresh: new Fresh(server) };
		this.verified = Object.fromEntries(Object.keys(this.verifiers).map((name) => [name, 0]));
		this.tokens = 0; /* verified at issue and in the last second, by everybody */
		this.late = 0; /* asked for in time, but this program was too slow */
		this.unreachable = 0; /* no key set and no cache until the token's end */
		this.failures = [];
		this.kids = new Map();
	}

	/* True: verified. */
	async ask(name, token, when) {
		for (;;) {
			try {
				await this.verifiers[name].verify(token);
				this.verified[name]++;
				return true;
			} catch (error) {
				const left = token.ends - Date.now();
				if (error instanceof Unreachable && left > RETRY_MS) {
					await sleep(RETRY_MS);
					continue;
				}
				if (error instanceof Unreachable)
					this.unreachable++;
				else if (!(error instanceof Unverifiable))
					throw error;
				else if (left <= 0)
					this.late++;
				else
					this.failures.push(`${name} ${when}, ${left} ms before the end, ${token.header.alg} ` +
						`${token.header.kid}: ${error.message}`);
				return false;
			}
		}
	}

	async askAll(token, when) {
		const verdicts = await Promise.all(Object.keys(this.verifiers).map((name) => this.ask(name, token, when)));
		return verdicts.every(Boolean);
	}

	/* From its issue to its last second. */
	async follow(text, sent) {
		const token = new Token(text, sent);
		const { alg, kid } = token.header;
		this.kids.set(alg, (this.kids.get(alg) ?? new Set()).add(kid));
		const atIssue = await this.askAll(token, 'at issue');
		await sleep(token.ends - Date.now() - 50 - Math.random() * 900);
		if (Date.now() >= token.ends) {
			this.late++;
			return;
		}
		if (await this.askAll(token, 'in its last second') && atIssue)
			this.tokens++;
	}

	get rotations() {
		return [...this.kids.values()].reduce((sum, kids) => sum + kids.size - 1, 0);
	}

	report(name) {
		const each = Object.entries(this.verified).map(([who, n]) => `${who} ${n}`).join(', ');
		const kids = [...this.kids.entries()].map(([alg, set]) => `${alg} ${set.size}`).join(', ');
		const fetches = ['strict', 'slow', 'fresh'].map((who) => `${who} ${this.verifiers[who].fetches}`).join(', ');
		console.log(`# ${name}: ${this.tokens} tokens verified at issue and in their last second; ` +
			`verifications: ${each}; ${this.rotations} rotations; kids: ${kids}; fetches: ${fetches}; ` +
			`late ${this.late}, unreachable ${this.unreachable}, failures ${this.failures.length}`);
		for (const failure of this.failures.slice(0, 10))
			console.log(`#   ${failure}`);
	}
}

/* Asks for `rate` tokens a second, by the server's clients in turn, until `enough()`; follows each to its end. What
 * is refused or lost on the way is no token, and what the office is too slow for is not asked. */
export async function issueSteadily(server, ledger, rate, enough) {
	const began = Date.now();
	const following = new Set();
	let turn = 0, asking = 0;
	let broken;
	const one = async (client) => {
		const sent = Date.now();
		asking++;
		const answer = await server.token({ grant_type: 'client_credentials' }, client).catch(() => undefined);
		asking--;
		if (answer?.status === 200)
			await ledger.follow(answer.json.access_token, sent);
	};
	while (!enough()) {
		const due = Math.floor((Date.now() - began) * rate / 1000);
		for (; turn < due; turn++) {
			if (asking >= ASKING_MAX)
				continue;
			const work = one(server.clients[turn % server.clients.length]).catch((error) => {
				broken ??= error;
			}).finally(() => following.delete(work));
			following.add(work);
		}
		if (broken)
			throw broken;
		await sleep(20);
	}
	await Promise.all(following);
	if (broken)
		throw broken;
}
