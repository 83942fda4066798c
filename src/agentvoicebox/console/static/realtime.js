// src/realtime/pcm.ts
var e = 32768;
function t(t) {
	let n = new Uint8Array(t.buffer, t.byteOffset, t.byteLength), r = "";
	for (let t = 0; t < n.length; t += e) r += String.fromCharCode(...n.subarray(t, t + e));
	return btoa(r);
}
function n(e) {
	let t = atob(e), n = new Uint8Array(t.length & -2);
	for (let e = 0; e < n.length; e++) n[e] = t.charCodeAt(e);
	return new Int16Array(n.buffer);
}
// src/realtime/sent_audio.ts
var r = class {
	rateHz;
	keepS;
	pieces = [];
	end = 0;
	constructor(e, t = 10) {
		this.rateHz = e, this.keepS = t;
	}
	get samples() {
		return this.end;
	}
	get untilMs() {
		return Math.floor(this.end * 1e3 / this.rateHz);
	}
	get fromMs() {
		return Math.ceil((this.pieces[0]?.start ?? this.end) * 1e3 / this.rateHz);
	}
	append(e) {
		this.pieces.push({
			start: this.end,
			pcm: e
		}), this.end += e.length;
		let t = this.end - this.keepS * this.rateHz;
		for (; this.pieces[0] && this.pieces[0].start + this.pieces[0].pcm.length <= t;) this.pieces.shift();
	}
	*since(e, t) {
		let n = Math.floor(e * this.rateHz / 1e3);
		for (let { start: e, pcm: r } of this.pieces) {
			let i = r.subarray(Math.max(0, n - e));
			for (let e = 0; e < i.length; e += t) yield i.subarray(e, e + t);
		}
	}
}, i = /* @__PURE__ */ new Set([
	1006,
	1012,
	1013
]), a = "session_taken", o = 20, s = 500, c = 5e3, l = 100, u = .5, d = 1e3, f = class {
	sessionId = "";
	state = "connecting";
	audio;
	options;
	now;
	socket = null;
	lastEventId = "";
	resumeToken = "";
	ownEvents = [];
	eventCount = 0;
	lastError = "";
	brokeMs = 0;
	pauseMs = o;
	timer;
	constructor(e) {
		this.options = e, this.now = e.now ?? (() => performance.now()), this.audio = new r(e.rateHz ?? 24e3), this.open({});
	}
	send(e) {
		if (this.state === "ended") return;
		let t = {
			...e,
			event_id: e.event_id ?? `evt_${++this.eventCount}`
		};
		this.ownEvents.push(t), this.ownEvents.length > l && this.ownEvents.shift(), this.state === "open" && this.socket?.send(JSON.stringify(t));
	}
	appendAudio(e) {
		this.state !== "ended" && (this.audio.append(e), this.state === "open" && this.sendAudio(e));
	}
	hangUp() {
		this.end("");
	}
	open(e) {
		let t = new URL(this.options.url);
		this.options.model && t.searchParams.set("model", this.options.model), this.options.trace && t.searchParams.set("trace", "1");
		for (let [n, r] of Object.entries({
			resume: "1",
			...e
		})) t.searchParams.set(n, r);
		let n = ["realtime"];
		this.options.secret && n.push(`openai-insecure-api-key.${this.options.secret}`);
		let r = new (this.options.WebSocket ?? WebSocket)(t.href, n);
		this.socket = r, this.timer = setTimeout(() => this.onClosed(r, 1006, "no answer"), c), r.onmessage = (e) => this.receive(r, JSON.parse(String(e.data))), r.onclose = (e) => this.onClosed(r, e.code, e.reason);
	}
	receive(e, t) {
		e === this.socket && (t.type === "session.created" && !this.sessionId ? this.begin(t) : t.type === "agentvoicebox.resumed" ? this.goOn(t) : t.type === "error" && this.state !== "open" && (this.lastError = String(t.error?.message ?? "")), t.event_id && !t.type.startsWith("agentvoicebox.") && (this.lastEventId = t.event_id), this.options.onEvent(t));
	}
	begin(e) {
		clearTimeout(this.timer), this.sessionId = String(e.session?.id ?? ""), this.resumeToken = String(e.agentvoicebox?.resume_token ?? ""), this.become("open");
		for (let e of this.ownEvents) this.socket?.send(JSON.stringify(e));
	}
	goOn(e) {
		clearTimeout(this.timer);
		let { audio_start_ms: t, last_client_event_id: n, is_complete: r } = e;
		for (let e of this.audio.since(Number(t), u * this.audio.rateHz)) this.sendAudio(e);
		let i = this.ownEvents.findIndex((e) => e.event_id === n);
		for (let e of this.ownEvents.slice(i + 1)) this.socket?.send(JSON.stringify(e));
		this.pauseMs = o, this.become("open"), this.options.onResumed?.({
			gapMs: this.now() - this.brokeMs,
			isComplete: !!r
		});
	}
	sendAudio(e) {
		this.socket?.send(JSON.stringify({
			type: "input_audio_buffer.append",
			audio: t(e)
		}));
	}
	onClosed(e, t, n) {
		e === this.socket && this.state !== "ended" && (clearTimeout(this.timer), this.drop(), i.has(t) && n !== a && this.sessionId !== "" ? (this.state !== "reconnecting" && (this.brokeMs = this.now(), this.become("reconnecting", n || "connection lost")), this.now() - this.brokeMs > (this.options.reconnectForMs ?? 2e4) ? this.end(this.lastError || "connection lost") : (this.timer = setTimeout(() => this.resume(), this.pauseMs), this.pauseMs = Math.min(2 * this.pauseMs, s))) : this.end(this.lastError || n || (this.sessionId ? `connection closed (${t})` : "the server did not answer")));
	}
	resume() {
		this.lastError = "", this.open({
			session_id: this.sessionId,
			last_event_id: this.lastEventId,
			audio_from_ms: String(this.audio.fromMs),
			audio_until_ms: String(this.audio.untilMs),
			...this.resumeToken && { resume_token: this.resumeToken }
		});
	}
	end(e) {
		this.state !== "ended" && (clearTimeout(this.timer), this.become("ended", e), this.drop());
	}
	drop() {
		let e = this.socket;
		this.socket = null, e && (e.onmessage = e.onclose = null, e.close(d));
	}
	become(e, t = "") {
		this.state = e, this.options.onState?.(e, t);
	}
};
export { f as RealtimeCall, r as SentAudio, t as base64OfPcm, n as pcmOfBase64 };
