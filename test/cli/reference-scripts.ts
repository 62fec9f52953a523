/** The command lines of the authors' scripts (QingruZhang/AdaLoRA, NLU/scripts and NLG_QA/scripts), as a shell hands them over. */
export const referenceScripts = {
  cola: `
    python -m torch.distributed.launch --master_port=8679 --nproc_per_node=1
    examples/text-classification/run_glue.py --model_name_or_path microsoft/deberta-v3-base
    --task_name cola --apply_lora --apply_adalora --lora_type svd --target_rank 1 --lora_r 3
    --reg_orth_coef 0.1 --init_warmup 800 --final_warmup 3500 --mask_interval 10 --beta1 0.85
    --beta2 0.85 --lora_module query,key,value,intermediate,layer.output,attention.output
    --lora_alpha 32 --do_train --do_eval --max_seq_length 64 --per_device_train_batch_size 32
    --learning_rate 8e-4 --num_train_epochs 25 --warmup_steps 100 --cls_dropout 0.10
    --weight_decay 0.00 --evaluation_strategy steps --eval_steps 100 --save_strategy steps
    --save_steps 10000 --logging_steps 10 --tb_writter_loginterval 100 --report_to tensorboard
    --seed 6 --root_output_dir ./output/glue/cola --overwrite_output_dir
  `,
  mnli: `
    python -m torch.distributed.launch --master_port=8679 --nproc_per_node=1
    examples/text-classification/run_glue.py --model_name_or_path microsoft/deberta-v3-base
    --task_name mnli --apply_adalora --apply_lora --lora_type svd --target_rank 1 --lora_r 3
    --reg_orth_coef 0.1 --init_warmup 8000 --final_warmup 50000 --mask_interval 100 --beta1
    0.85 --beta2 0.85 --lora_module query,key,value,intermediate,layer.output,attention.output
    --lora_alpha 16 --do_train --do_eval --max_seq_length 256 --per_device_train_batch_size 32
    --learning_rate 5e-4 --num_train_epochs 7 --warmup_steps 1000 --cls_dropout 0.15
    --weight_decay 0 --evaluation_strategy steps --eval_steps 3000 --save_strategy steps
    --save_steps 30000 --logging_steps 500 --seed 6 --root_output_dir ./output/glue/mnli
    --overwrite_output_dir
  `,
  mrpc: `
    python -m torch.distributed.launch --master_port=8679 --nproc_per_node=1
    examples/text-classification/run_glue.py --model_name_or_path microsoft/deberta-v3-base
    --task_name mrpc --apply_lora --apply_rankselector --lora_type svd --target_rank 1 --lora_r
    2 --reg_orth_coef 0.1 --init_warmup 600 --final_warmup 1800 --mask_interval 1 --beta1 0.85
    --beta2 0.85 --lora_module query,key,value,intermediate,layer.output,attention.output
    --lora_alpha 32 --do_train --do_eval --max_seq_length 320 --per_device_train_batch_size 32
    --learning_rate 1e-3 --num_train_epochs 30 --warmup_ratio 0.1 --cls_dropout 0.0
    --weight_decay 0.01 --evaluation_strategy steps --eval_steps 300 --save_strategy steps
    --save_steps 3000 --logging_steps 100 --report_to tensorboard --seed 6 --root_output_dir
    ./output/debertav3-base/mrpc --overwrite_output_dir
  `,
  qnli: `
    python -m torch.distributed.launch --master_port=8679 --nproc_per_node=1
    examples/text-classification/run_glue.py --model_name_or_path microsoft/deberta-v3-base
    --task_name qnli --apply_lora --apply_adalora --lora_type svd --target_rank 1 --lora_r 2
    --reg_orth_coef 0.1 --init_warmup 2000 --final_warmup 8000 --mask_interval 100 --beta1 0.85
    --beta2 0.85 --lora_module query,key,value,intermediate,layer.output,attention.output
    --lora_alpha 32 --do_train --do_eval --max_seq_length 512 --per_device_train_batch_size 32
    --learning_rate 5e-4 --num_train_epochs 5 --warmup_steps 500 --cls_dropout 0.1
    --weight_decay 0.01 --evaluation_strategy steps --eval_steps 1000 --save_strategy steps
    --save_steps 16000 --logging_steps 300 --tb_writter_loginterval 300 --report_to tensorboard
    --seed 6 --root_output_dir ./output/debertav3-base/qnli --overwrite_output_dir
  `,
  qqp: `
    python -m torch.distributed.launch --master_port=8679 --nproc_per_node=1
    examples/text-classification/run_glue.py --model_name_or_path microsoft/deberta-v3-base
    --task_name qqp --apply_adalora --apply_lora --lora_type svd --target_rank 1 --lora_r 2
    --reg_orth_coef 0.1 --init_warmup 8000 --final_warmup 25000 --mask_interval 100 --beta1
    0.85 --beta2 0.85 --lora_module query,key,value,intermediate,layer.output,attention.output
    --lora_alpha 16 --do_train --do_eval --max_seq_length 320 --per_device_train_batch_size 32
    --learning_rate 8e-4 --num_train_epochs 5 --warmup_steps 2000 --cls_dropout 0.15
    --weight_decay 0.01 --evaluation_strategy steps --eval_steps 3000 --save_strategy steps
    --save_steps 10000 --logging_steps 500 --tb_writter_loginterval 500 --report_to tensorboard
    --seed 6 --root_output_dir ./output/debertav3-base/qqp --overwrite_output_dir
  `,
  rte: `
    python -m torch.distributed.launch --master_port=8679 --nproc_per_node=1
    examples/text-classification/run_glue.py --model_name_or_path microsoft/deberta-v3-base
    --task_name rte --apply_adalora --apply_lora --lora_type svd --target_rank 1 --lora_r 2
    --reg_orth_coef 0.3 --init_warmup 600 --final_warmup 1800 --mask_interval 1 --beta1 0.85
    --beta2 0.85 --lora_module query,key,value,intermediate,layer.output,attention.output
    --lora_alpha 32 --do_train --do_eval --max_seq_length 320 --per_device_train_batch_size 32
    --learning_rate 1.2e-3 --num_train_epochs 50 --warmup_steps 200 --cls_dropout 0.20
    --weight_decay 0.01 --evaluation_strategy steps --eval_steps 100 --save_strategy steps
    --save_steps 10000 --logging_steps 10 --report_to tensorboard --seed 6 --root_output_dir
    ./output/glue/rte --overwrite_output_dir
  `,
  sst2: `
    python -m torch.distributed.launch --master_port=8679 --nproc_per_node=1
    examples/text-classification/run_glue.py --model_name_or_path microsoft/deberta-v3-base
    --task_name sst2 --apply_lora --apply_adalora --lora_type svd --target_rank 1 --lora_r 2
    --reg_orth_coef 0.1 --init_warmup 6000 --final_warmup 22000 --mask_interval 100 --beta1
    0.85 --beta2 0.85 --lora_module query,key,value,intermediate,layer.output,attention.output
    --lora_alpha 16 --do_train --do_eval --max_seq_length 128 --per_device_train_batch_size 32
    --learning_rate 8e-4 --num_train_epochs 24 --warmup_steps 1000 --cls_dropout 0.
    --weight_decay 0.01 --evaluation_strategy steps --eval_steps 3000 --save_strategy steps
    --save_steps 10000 --logging_steps 500 --tb_writter_loginterval 500 --report_to tensorboard
    --seed 6 --root_output_dir ./output/debertav3-base/sst2 --overwrite_output_dir
  `,
  stsb: `
    python -m torch.distributed.launch --master_port=8679 --nproc_per_node=1
    examples/text-classification/run_glue.py --model_name_or_path microsoft/deberta-v3-base
    --task_name stsb --apply_lora --apply_adalora --lora_type svd --target_rank 1 --lora_r 2
    --reg_orth_coef 0.3 --init_warmup 800 --final_warmup 2000 --mask_interval 10 --beta1 0.85
    --beta2 0.85 --lora_module query,key,value,intermediate,layer.output,attention.output
    --lora_alpha 32 --do_train --do_eval --max_seq_length 128 --per_device_train_batch_size 32
    --learning_rate 2.2e-3 --num_train_epochs 25 --warmup_steps 100 --cls_dropout 0.2
    --weight_decay 0.1 --evaluation_strategy steps --eval_steps 100 --save_strategy steps
    --save_steps 10000 --logging_steps 50 --tb_writter_loginterval 50 --report_to tensorboard
    --seed 6 --root_output_dir ./output/debertav3-base/stsb --overwrite_output_dir
  `,
  squad_v2: `
    python -m torch.distributed.launch --master_port=8679 --nproc_per_node=1
    examples/question-answering/run_qa.py --model_name_or_path microsoft/deberta-v3-base
    --dataset_name squad_v2 --apply_lora --apply_adalora --lora_type svd --target_rank 1 --lora_r
    2 --reg_orth_coef 0.1 --init_warmup 5000 --final_warmup 50000 --mask_interval 100 --beta1
    0.85 --beta2 0.85 --lora_module query,key,value,intermediate,layer.output,attention.output
    --lora_alpha 16 --do_train --do_eval --version_2_with_negative --max_seq_length 384
    --doc_stride 128 --per_device_train_batch_size 16 --learning_rate 1e-3 --num_train_epochs 12
    --max_step 300 --warmup_steps 1000 --per_device_eval_batch_size 128 --evaluation_strategy
    steps --eval_steps 3000 --save_strategy steps --save_steps 100000 --logging_steps 300
    --tb_writter_loginterval 300 --report_to tensorboard --seed 9 --root_output_dir
    ./output/debertav3-base/squadv2 --overwrite_output_dir
  `,
  xsum: `
    accelerate launch --multi_gpu --num_machine=1 --num_processes=8 --main_process_port=8679
    --mixed_precision=no examples/summarization/run_summarization_no_trainer.py
    --model_name_or_path facebook/bart-large --dataset_name xsum --apply_lora --apply_adalora
    --lora_type svd --target_rank 8 --lora_r 12 --lora_alpha 32 --reg_orth_coef 0.1 --init_warmup
    6000 --final_warmup 25000 --mask_interval 100 --beta1 0.85 --beta2 0.85 --lora_module
    q_proj,k_proj,v_proj,out_proj,fc1,fc2 --per_device_train_batch_size 8 --learning_rate 5e-4
    --num_train_epochs 25 --num_warmup_steps 3000 --max_source_length 768 --max_target_length 64
    --max_length 768 --pad_to_max_length --num_beams 8 --per_device_eval_batch_size 8 --seed 9
    --with_tracking --tb_writter_loginterval 500 --output_dir ./output/bart-large/xsum
  `,
  cnn_dailymail: `
    accelerate launch --multi_gpu --num_machine=1 --num_processes=8 --main_process_port=8675
    --mixed_precision=no examples/summarization/run_summarization_no_trainer.py
    --model_name_or_path facebook/bart-large --dataset_name cnn_dailymail --dataset_config 3.0.0
    --apply_lora --apply_rankselector --lora_type svd --target_rank 2 --lora_r 4 --lora_alpha 32
    --reg_orth_coef 0.1 --init_warmup 5000 --final_warmup 85000 --mask_interval 100 --beta1 0.85
    --beta2 0.85 --lora_module q_proj,k_proj,v_proj,out_proj,fc1,fc2
    --per_device_train_batch_size 4 --learning_rate 5e-4 --num_train_epochs 15 --num_warmup_steps
    3000 --max_source_length 1024 --max_target_length 160 --max_length 1024 --pad_to_max_length
    --num_beams 4 --per_device_eval_batch_size 4 --seed 9 --with_tracking --tb_writter_loginterval
    500 --output_dir ./output/bart-large/cnn_dailymail
  `,
} as const;
