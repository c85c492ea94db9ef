// Work that is asked for more often than it can be done.

/**
 * Runs `work` once at a time; what was asked meanwhile is asked once, afterwards. `work` may answer with seconds after which it wants to be
 * tried again, when it was not done.
 */
export function newest(work, signal) {
  let running = false
  let wanted = false
  return async function run() {
    if (running) {
      wanted = true
      return
    }
    running = true
    try {
      do {
        wanted = false
        const seconds = await work()
        if (seconds) {
          wanted = true
          await new Promise((resolve) => setTimeout(resolve, 1000 * seconds))
        }
      } while (wanted && !signal.aborted)
    } finally {
      running = false
    }
  }
}
