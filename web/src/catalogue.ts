/** Loads the class catalogue, which gives outlines their colours and the number keys their classes. */
import { api } from "./api";
import { classes } from "./state";

export async function loadClasses(): Promise<void> {
  classes.value = (await api.classes()).items;
}
