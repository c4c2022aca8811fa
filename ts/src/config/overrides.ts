/** Settings that the command line can give in place of the file. They are checked like those of the file. */
export interface Overrides {
  /** Address of the one data listener. */
  readonly dataAddress?: string;
  readonly adminAddress?: string;
  /** Absolute. */
  readonly dataDir?: string;
  readonly workers?: number;
}

/** The data of a file with the overrides in their places. A data listener given here replaces all of the file's. */
export function overridden(value: unknown, overrides: Overrides): unknown {
  const { dataAddress, adminAddress, dataDir, workers } = overrides;
  if (!isMapping(value)) return value;
  const listeners = isMapping(value['listeners']) ? value['listeners'] : {};
  const admin = isMapping(listeners['admin']) ? listeners['admin'] : {};
  return {
    ...value,
    ...((dataAddress ?? adminAddress) !== undefined && {
      listeners: {
        ...listeners,
        ...(dataAddress !== undefined && { data: { address: dataAddress } }),
        ...(adminAddress !== undefined && { admin: { ...admin, address: adminAddress } }),
      },
    }),
    ...(dataDir !== undefined && { data_dir: dataDir }),
    ...(workers !== undefined && { workers }),
  };
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
