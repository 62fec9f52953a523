/** The pace of the last steps, smoothed so that a short batch does not make the estimate jump. */
export interface Pace {
  readonly tokensPerSecond: number;
  readonly secondsPerStep: number;
}

/** Creates a moving average over about the last 20 steps. */
export function createSpeedometer(): { add(step: { tokens: number; seconds: number }): Pace } {
  const decay = 0.95;
  let [tokens, seconds, weight] = [0, 0, 0];
  return {
    add(step) {
      tokens = decay * tokens + step.tokens;
      seconds = decay * seconds + step.seconds;
      weight = decay * weight + 1;
      return { tokensPerSecond: tokens / seconds, secondsPerStep: seconds / weight };
    },
  };
}
