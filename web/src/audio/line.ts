// The caller's end of the line: microphone and loudspeaker on one audio clock, so that a wait between them can be measured.

const RATE_HZ = 24_000;

/** A frame of 20 ms from the microphone. `contextTime`: of its first sample, seconds of the audio clock. */
export interface MicrophoneFrame {
  readonly pcm: Int16Array;
  readonly contextTime: number;
  readonly level: number;
}

/** What became of the audio of an item. `cut`: it was stopped before its end. Times are seconds of the audio clock. */
export interface PlaybackReport {
  readonly what: 'started' | 'progress' | 'cut' | 'idle';
  readonly itemId: string;
  readonly playedMs: number;
  readonly contextTime: number;
  readonly level: number;
}

export interface LineOptions {
  /** Device ids; empty: the system's default. */
  readonly microphone?: string;
  readonly loudspeaker?: string;
  readonly onFrame: (frame: MicrophoneFrame) => void;
  readonly onPlayback: (report: PlaybackReport) => void;
}

export class Line {
  private constructor(
    private readonly context: AudioContext,
    private readonly stream: MediaStream | null,
    private readonly playback: AudioWorkletNode,
  ) {}

  /** Open both ends. Rejects when the microphone is refused or absent. */
  static async open(options: LineOptions): Promise<Line> {
    const stream = await navigator.mediaDevices.getUserMedia({
      audio: {
        channelCount: 1,
        echoCancellation: true,
        noiseSuppression: true,
        autoGainControl: true,
        ...(options.microphone && { deviceId: { exact: options.microphone } }),
      },
    });
    try {
      return await Line.assemble(stream, options);
    } catch (error) {
      stream.getTracks().forEach((track) => track.stop());
      throw error;
    }
  }

  /** A loudspeaker alone, for callers who type. */
  static openSilent(options: LineOptions): Promise<Line> {
    return Line.assemble(null, options);
  }

  private static async assemble(stream: MediaStream | null, options: LineOptions): Promise<Line> {
    const { context, source } = openContext(stream);
    try {
      await context.audioWorklet.addModule('/console/capture.worklet.js');
      await context.audioWorklet.addModule('/console/playback.worklet.js');
      const playback = new AudioWorkletNode(context, 'playback', { numberOfInputs: 0, outputChannelCount: [1] });
      playback.port.onmessage = (message: MessageEvent<PlaybackReport>) => options.onPlayback(message.data);
      playback.connect(context.destination);
      if (source) {
        const capture = new AudioWorkletNode(context, 'capture', { numberOfOutputs: 0 });
        capture.port.onmessage = (message: MessageEvent<MicrophoneFrame>) => options.onFrame(message.data);
        source.connect(capture);
      }
      if (options.loudspeaker && 'setSinkId' in context) {
        await (context as unknown as { setSinkId(id: string): Promise<void> }).setSinkId(options.loudspeaker);
      }
      await context.resume();
      return new Line(context, stream, playback);
    } catch (error) {
      await context.close();
      throw error;
    }
  }

  /** Now, in seconds of the audio clock. */
  get now(): number {
    return this.context.currentTime;
  }

  /** From the audio clock to the ear, seconds. */
  get outputLatency(): number {
    return this.context.outputLatency || this.context.baseLatency || 0;
  }

  set muted(isMuted: boolean) {
    this.stream?.getAudioTracks().forEach((track) => (track.enabled = !isMuted));
  }

  play(itemId: string, pcm: Int16Array): void {
    this.playback.port.postMessage({ itemId, pcm }, [pcm.buffer]);
  }

  /** Stop what is playing; a `cut` report says where. */
  stop(): void {
    this.playback.port.postMessage('flush');
  }

  async close(): Promise<void> {
    this.stream?.getTracks().forEach((track) => track.stop());
    await this.context.close();
  }
}

/** At the wire's rate, or, where a browser can't join a microphone of another rate to it, at the microphone's. */
function openContext(stream: MediaStream | null): { context: AudioContext; source: MediaStreamAudioSourceNode | null } {
  const context = new AudioContext({ sampleRate: RATE_HZ, latencyHint: 'interactive' });
  if (!stream) return { context, source: null };
  try {
    return { context, source: context.createMediaStreamSource(stream) };
  } catch {
    void context.close();
    const other = new AudioContext({ latencyHint: 'interactive' });
    return { context: other, source: other.createMediaStreamSource(stream) };
  }
}

/** The audio devices that this page may name. Labels are empty until the microphone was allowed once. */
export async function listDevices(): Promise<{ microphones: MediaDeviceInfo[]; loudspeakers: MediaDeviceInfo[] }> {
  const devices = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
  const named = devices.filter((each) => each.deviceId && each.deviceId !== 'default');
  return {
    microphones: named.filter((each) => each.kind === 'audioinput'),
    loudspeakers: named.filter((each) => each.kind === 'audiooutput'),
  };
}
