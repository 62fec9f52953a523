/**
 * The command by which a built executable starts `serveTrials` in a child of itself. No user calls it,
 * so no help lists it. Alone in its file: every start of the program reads it.
 */
export const TRIAL_COMMAND = "try-files";
