/** Imported with `type: "file"`: the path of the file, also inside the executable. */
declare module "*.safetensors" {
  const path: string;
  export default path;
}
